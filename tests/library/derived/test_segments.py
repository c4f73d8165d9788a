"""Segments against one array: after any history, index files and searches equal a recomputation."""

import contextlib
import shutil

import numpy as np
import pytest

from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.index.parts import Part
from facehash.library.derived import arrays, opened
from facehash.library.derived.arrays import (
    erase_index,
    open_asymmetric_index,
    open_index,
    refresh_index,
    spaces,
    verify,
    write_index,
)
from facehash.library.derived.opened import OldSnapshotError, open_parts
from facehash.library.derived.segments import MANIFEST, merge_parts, read_manifest
from facehash.library.query.library import open_library
from facehash.library.storage import engines as registry
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import INDEX
from facehash.library.storage.index_states import index_states
from facehash.library.storage.settings import write_settings
from facehash.library.storage.store import Store
from facehash.vectors import Space, unit_rows
from tests.library import random_rows
from tests.library.conftest import few_lean

KINDS = ("cosine", "hamming", "euclidean")


@pytest.fixture
def small(monkeypatch):
    """Make few rows a segment, and few blank rows too many."""
    monkeypatch.setattr(arrays, "_SMALL", 2)
    monkeypatch.setattr(arrays, "_REWRITE_ROWS", 6)


def make(directory, metric="cosine"):
    store = Store.create(directory)
    write_settings(store.database, random_rows.settings(metric))
    return store


def wanted(store):
    return spaces(store.settings(), False)


def expected(store):
    """Return what is in the database, as one array: ids, and rows as they are given."""
    [(_, space)] = wanted(store).items()
    content = sorted(random_rows.content(store).items())
    ids = np.array([face for face, _ in content], np.int64)
    joined = b"".join(row for _, row in content)
    return ids, np.frombuffer(joined, space.dtype).reshape(-1, space.width), space


def check_searches(store, found=None):
    """Compare searches of the index files, or of opened parts, with those of one array."""
    ids, rows, space = expected(store)
    [(column, _)] = wanted(store).items()
    parts = (found or open_parts(store, column, space)).parts
    rng = np.random.default_rng(store.generation())
    for count, k in ((1, 1), (3, 5), (24, 4), (2, len(ids) + 1)):
        queries = random_rows.draw(store, count, rng)
        sides = [(ExactIndex, queries)]
        if space.metric == "hamming":
            floats = rng.normal(size=(count, space.dimension)).astype(np.float32)
            sides.append((AsymmetricIndex, floats))
        for kind, queries in sides:
            one = kind.build(rows, ids, space).search(queries, k)
            several = kind.of_parts(parts, space).search(queries, k)
            assert np.array_equal(one.ids, several.ids)
            assert np.array_equal(one.distances, several.distances)


def sizes(store):
    """Return the rows of each segment, and how many of them are removed."""
    manifest = read_manifest(store.directory / INDEX)
    found = []
    for column, (space, _) in manifest.columns.items():
        for part in opened.map_all(store, manifest, column, space):
            found.append((len(part.ids), len(part.removed)))
    return found


class Killed(BaseException):
    pass


@contextlib.contextmanager
def killed_after(monkeypatch, steps):
    """Let a writer die before one of its steps."""
    left = [steps]
    with monkeypatch.context() as patched:
        for module, name in (
            (arrays, "write_segment"),
            (arrays, "add_index_state"),
            (arrays, "write_manifest"),
            (arrays, "blank"),
            (arrays, "keep_index_state"),
            (arrays, "remove_stale"),
        ):
            real = getattr(module, name)

            def step(*args, real=real):
                left[0] -= 1
                if not left[0]:
                    raise Killed
                return real(*args)

            patched.setattr(module, name, step)
        yield


@pytest.mark.parametrize("metric", KINDS)
@few_lean("seed", range(20), lean=1)
def test_any_history_gives_the_index_of_a_full_computation(
    tmp_path, small, monkeypatch, metric, seed
):
    rng = np.random.default_rng(seed)
    with make(tmp_path / "lib", metric) as store:
        [(column, space)] = wanted(store).items()
        reader = None
        for _ in range(60):
            faces = list(random_rows.content(store))
            step = rng.choice(
                ["add", "remove", "change", "refresh", "erase", "killed", "engine", "rare"],
                p=[0.3, 0.15, 0.05, 0.25, 0.05, 0.1, 0.05, 0.05],
            )
            if step == "add":
                random_rows.add(store, int(rng.integers(1, 20)))
            elif step == "remove" and faces:
                for face in rng.choice(faces, min(len(faces), int(rng.integers(1, 4))), False):
                    random_rows.remove(store, int(face))
            elif step == "change" and faces:
                random_rows.change(store, int(rng.choice(faces)))
            elif step == "refresh":
                refresh_index(store, wanted(store))
                assert verify(store, column, space)
            elif step == "erase":
                erase_index(store, wanted(store))
                assert verify(store, column, space) and not any(gone for _, gone in sizes(store))
            elif step == "killed":
                with (
                    contextlib.suppress(Killed),
                    killed_after(monkeypatch, int(rng.integers(1, 8))),
                ):
                    refresh_index(store, wanted(store))
            elif step == "engine":
                names = {one.name for one in registry.list_engines(store.database)}
                if "one" in names:
                    registry.unregister(store, "one")
                else:
                    engine = registry.Engine("one", "redis://localhost/0", column)
                    registry.register(store, engine)
            elif step == "rare" and (store.directory / INDEX).exists():
                if rng.random() < 0.5:
                    write_index(store, wanted(store))
                    assert len(sizes(store)) == 1
                else:
                    shutil.rmtree(store.directory / INDEX)
            check_searches(store)
            reader = open_parts(store, column, space, reader)
            check_searches(store, reader)
        refresh_index(store, wanted(store))
        assert verify(store, column, space)
        files = {path.name for path in (store.directory / INDEX).iterdir()}
        manifest = read_manifest(store.directory / INDEX)
        assert files == {MANIFEST, *manifest.files()}
        assert index_states(store.database) == [manifest.state]


def queries_rows(store, monkeypatch):
    """Return a list that gets the number of rows with vectors that are read from the database."""
    counts = []
    for module in (opened,):
        real = module.stored_rows

        def counted(batch, *args, real=real):
            counts.append(len(batch))
            return real(batch, *args)

        monkeypatch.setattr(module, "stored_rows", counted)
    monkeypatch.setattr(type(store), "rows", lambda *_: pytest.fail("all rows are read"))
    return counts


def test_a_search_while_another_process_indexes_reads_what_is_new(tmp_path, monkeypatch):
    with make(tmp_path / "lib") as store, open_library(tmp_path / "lib") as library:
        random_rows.add(store, 500)
        refresh_index(store, wanted(store))
        assert len(library) == 500
        counts = queries_rows(store, monkeypatch)
        expected_counts = []
        for more in (64, 0, 30, 64):
            if more:
                random_rows.add(store, more, seed=more)
                expected_counts.append(more)
            vectors = np.ones((1, random_rows.DIMENSION), np.float32)
            assert len(library.search_vectors(vectors, 1000)[0].hits) == len(library)
        random_rows.remove(store, 3)
        random_rows.remove(store, 560)
        assert len(library) == 656
        assert [one for one in counts if one] == expected_counts
        # Another command reads the difference from the files at once.
        with open_library(tmp_path / "lib") as other:
            counts.clear()
            assert len(other) == 656
        assert counts == [157]


def test_adding_reads_only_the_new_rows_and_leaves_the_base(tmp_path, monkeypatch):
    with make(tmp_path / "lib") as store:
        monkeypatch.setattr(arrays, "_SMALL", 64)
        random_rows.add(store, 1000)
        refresh_index(store, wanted(store))
        before = {path: path.stat().st_mtime_ns for path in (store.directory / INDEX).glob("*.npy")}
        counts = queries_rows(store, monkeypatch)
        random_rows.add(store, 64, seed=1)
        refresh_index(store, wanted(store))
        assert counts == [64] and sizes(store) == [(1000, 0), (64, 0)]
        assert {path: path.stat().st_mtime_ns for path in before} == before
        for seed in (2, 3):
            random_rows.add(store, 64, seed=seed)
            refresh_index(store, wanted(store))
        assert sizes(store) == [(1000, 0), (192, 0)]  # less than a quarter of the base
        random_rows.add(store, 64, seed=4)
        refresh_index(store, wanted(store))
        assert sizes(store) == [(1256, 0)]


def test_few_segments_remain_after_many_runs(tmp_path, small):
    with make(tmp_path / "lib") as store:
        most = 0
        for seed in range(100):
            random_rows.add(store, 3, seed=seed)
            refresh_index(store, wanted(store))
            most = max(most, len(sizes(store)))
        assert most <= 6 and sum(rows for rows, _ in sizes(store)) == 300
        check_searches(store)
        write_index(store, wanted(store))
        assert sizes(store) == [(300, 0)] and verify(store, "embedding", Space("cosine", 8))


def vector_of(store, face):
    [(row,)] = store.database.rows("SELECT embedding FROM faces WHERE id = ?", (face,))
    return unit_rows(np.frombuffer(row, "<f4")[None]).tobytes()


def indexed(store):
    return b"".join(path.read_bytes() for path in (store.directory / INDEX).iterdir())


@pytest.mark.parametrize("step", range(1, 6))
def test_rows_of_deleted_faces_are_blank_even_after_a_crash(tmp_path, monkeypatch, step):
    monkeypatch.setattr(arrays, "_REWRITE_ROWS", 0)
    with make(tmp_path / "lib") as store:
        random_rows.add(store, 100)
        refresh_index(store, wanted(store))
        face = next(
            one for one in range(1, 101) if indexed(store).count(vector_of(store, one)) == 1
        )
        row = vector_of(store, face)
        random_rows.remove(store, face)
        with pytest.raises(Killed), killed_after(monkeypatch, step):
            refresh_index(store, wanted(store))
        check_searches(store)
        refresh_index(store, wanted(store))
        assert row not in indexed(store) and sizes(store) == [(100, 1)]
        assert verify(store, "embedding", Space("cosine", 8))
        check_searches(store)
        erase_index(store, wanted(store))
        assert sizes(store) == [(99, 0)]


def test_files_of_another_history_are_not_used(tmp_path):
    """The database of yesterday is put back, and then grows beyond the generation of the files."""
    with make(tmp_path / "lib") as store:
        random_rows.add(store, 50)
        refresh_index(store, wanted(store))
        store.database.empty_log()
    yesterday = (tmp_path / "lib" / "library.db").read_bytes()
    with Store.open(tmp_path / "lib") as store:
        random_rows.add(store, 10, seed=1)
        refresh_index(store, wanted(store))
        store.database.empty_log()
    (tmp_path / "lib" / "library.db").write_bytes(yesterday)
    with Store.open(tmp_path / "lib") as store:
        random_rows.add(store, 30, seed=2)
        check_searches(store)
        refresh_index(store, wanted(store))
        assert verify(store, "embedding", Space("cosine", 8))
        check_searches(store)


def test_a_reader_whose_snapshot_is_older_than_the_files_takes_a_new_one(tmp_path, monkeypatch):
    with make(tmp_path / "lib") as store, open_library(tmp_path / "lib") as library:
        random_rows.add(store, 50)
        refresh_index(store, wanted(store))
        real, attempts = opened.read_manifest, []

        def read_late(folder):
            attempts.append(1)
            if len(attempts) == 1:  # another process writes after the snapshot was taken
                random_rows.add(store, 5, seed=1)
                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(opened, "read_manifest", real)
                    refresh_index(store, wanted(store))
            return real(folder)

        monkeypatch.setattr(opened, "read_manifest", read_late)
        counts = queries_rows(store, monkeypatch)
        assert len(library) == 55 and len(attempts) == 2 and counts == [5, 0]
        with store.database.snapshot(), pytest.raises(OldSnapshotError):
            store.generation()
            (store.directory / INDEX / MANIFEST).write_text(
                '{"schema": 1, "generation": 99, "columns": {}}'
            )
            open_parts(store, "embedding", Space("cosine", 8), retry=True)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2}',
        "[" * 100_000,
        '{"schema": 1, "generation": 1, "columns": {"code": {"metric": "cosine", "dimension": 1, '
        '"segments": [{"name": "../../x", "removed": []}]}}}',
    ],
)
def test_a_damaged_manifest_is_an_error_and_is_written_again(tmp_path, content):
    with make(tmp_path / "lib") as store:
        random_rows.add(store, 5)
        refresh_index(store, wanted(store))
        (store.directory / INDEX / MANIFEST).write_text(content)
        with pytest.raises(LibraryError, match="index files are damaged .manifest.json: .*rebuild"):
            open_index(store, "embedding", Space("cosine", 8))
        refresh_index(store, wanted(store))
        assert verify(store, "embedding", Space("cosine", 8))


def test_index_files_of_earlier_versions_are_mapped_and_replaced(tmp_path, monkeypatch):
    with make(tmp_path / "lib", "hamming") as store:
        random_rows.add(store, 30)
        ids, rows, space = expected(store)
        folder = store.directory / INDEX
        folder.mkdir()
        words = merge_parts([opened.prepared_part(ids, rows, space)], space).rows.words
        np.save(folder / f"code-{store.generation()}.npy", words)
        np.save(folder / f"code-ids-{store.generation()}.npy", ids)
        with monkeypatch.context() as patched:
            patched.setattr(Store, "rows", lambda *_: pytest.fail("all rows are read"))
            assert len(open_index(store, "code", space)) == 30
            assert len(open_asymmetric_index(store, space)) == 30
            check_searches(store)
        random_rows.add(store, 3)
        check_searches(store)
        refresh_index(store, wanted(store))
        assert sizes(store) == [(33, 0)] and len(list(folder.iterdir())) == 3


def test_removed_rows_are_never_found_however_near_they_are():
    rows = np.zeros((500, 4), np.float32)
    rows[:400] = (1, 0, 0, 0)  # nearest, and removed
    rows[400:] = unit_rows(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    for removed in (np.arange(400), np.arange(0, 400, 2)):
        kept = np.delete(np.arange(500), removed)
        for content in (rows, np.where(np.isin(np.arange(500), removed)[:, None], np.nan, rows)):
            part = Part(content.astype(np.float32), np.arange(500), removed)
            index = ExactIndex.of_parts([part], Space("cosine", 4))
            found = index.search(rows[:3], 150)
            one = ExactIndex.build(rows[kept], kept, Space("cosine", 4)).search(rows[:3], 150)
            assert len(index) == len(kept)
            assert np.array_equal(found.ids, one.ids)
            assert np.array_equal(found.distances, one.distances)
