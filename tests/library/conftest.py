"""A folder of small photos, and a library of them."""

import contextlib
import sqlite3

import numpy as np
import pytest
from PIL import Image

from facehash.hashing.heads.head import HEADS, Head
from facehash.library.ingest.update import index_folder
from facehash.library.storage.store import Store
from tests.helpers.facehash_command import facehash
from tests.library import fakes

NAMED = "SELECT name, number FROM faces JOIN people ON people.id = person_id ORDER BY name"


def draw(seed, width=40, height=40):
    """Return a random photo, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 235, (4, 4 * width // height, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(image)).save(path)
    return path


def traces(directory, *needles):
    """Return the byte strings that occur in the files of a library."""
    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    return [needle for needle in needles if needle in content]


def what_is_stored_of(directory, name):
    """Return vectors, codes, paths and pictures of a person's faces, as stored in the files."""
    with contextlib.closing(sqlite3.connect(directory / "library.db")) as database:
        rows = database.execute(
            "SELECT faces.embedding, faces.code, paths.path, crops.jpeg FROM faces "
            "JOIN people ON people.id = person_id JOIN paths USING (photo_id) "
            "JOIN crops ON face_id = faces.id WHERE name = ?",
            (name,),
        ).fetchall()
    # Vectors in index files have length 1.
    vectors = [np.frombuffer(row[0], "<f4").astype(np.float64) for row in rows]
    scaled = [(one / np.linalg.norm(one)).astype("<f4").tobytes() for one in vectors]
    return [part for row in rows for part in row] + scaled


def rows(directory):
    """Return everything in the database, by table, except the random id of the library."""
    with contextlib.closing(sqlite3.connect(directory / "library.db")) as database:
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'identity'"
        ).fetchall()
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for (name,) in tables
        }


def whole(directory):
    """Return everything in a library: the rows of the database, and the bytes of other files."""
    return rows(directory), {
        str(path.relative_to(directory)): path.is_file() and path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.name != "library.db"
    }


def few_lean(name, values, lean=3):
    """Parametrize a test; all but the first values run in the full lane only."""
    marks = [()] * lean + [pytest.mark.full] * (len(values) - lean)
    params = [pytest.param(one, marks=mark) for one, mark in zip(values, marks, strict=True)]
    return pytest.mark.parametrize(name, params, ids=range(len(values)))


@pytest.fixture
def photos(tmp_path):
    """Six photos of three people, one photo with two faces, one without any."""
    folder = tmp_path / "photos"
    for person, seeds in {"Ann": (1, 2), "Bo": (3,), "Cy": (4, 5)}.items():
        for number, seed in enumerate(seeds):
            save(folder / person / f"{number}.png", draw(seed))
    save(folder / "party.png", draw(6, width=80))
    save(folder / "night.png", np.zeros((20, 20, 3), np.uint8))
    return folder


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "lib"


@pytest.fixture
def index(photos, directory):
    """Index the folder, by default in this process."""

    def index(folder=photos, library=directory, **options):
        standard = {"workers": 1, "progress": False, "make_pipeline": fakes.make_pipeline}
        return index_folder(folder, library, **(standard | options))

    return index


@pytest.fixture
def head(tmp_path, monkeypatch):
    """Learned codes of 4 and 9 bits for the vectors of the fake embedder."""
    rng = np.random.default_rng(12)
    root = rng.normal(size=(12, 12))
    adapting = (root @ root.T + np.eye(12)).astype(np.float32)
    projections = {bits: rng.normal(size=(12, bits)).astype(np.float32) for bits in (4, 9)}
    scales = {bits: np.ones(bits, np.float32) for bits in projections}
    mean = rng.normal(size=12).astype(np.float32) / 10
    Head(mean, adapting, projections, scales).write(tmp_path / "fake.npz")
    monkeypatch.setitem(HEADS, "projection 12 cosine", str(tmp_path / "fake.npz"))
    return Head.read(tmp_path / "fake.npz")


@pytest.fixture
def ask(directory):
    """Query the database without our own code."""

    def ask(sql, *values):
        with contextlib.closing(sqlite3.connect(directory / "library.db")) as connection:
            return connection.execute(sql, values).fetchall()

    return ask


def alter(directory, *statements):
    """Change rows without any check."""
    with Store.open(directory) as store:
        store.database.run("PRAGMA ignore_check_constraints = ON")
        store.database.run("PRAGMA foreign_keys = OFF")
        for statement, *values in statements:
            store.database.run(statement, tuple(values))


@pytest.fixture
def every_command(directory, photos, tmp_path, monkeypatch):
    """Run every command; return the exit codes and everything printed."""

    monkeypatch.setattr("facehash.pipeline.pipelines", lambda _=None: fakes.make_pipeline)

    def run(*only):
        written = tmp_path / "written"
        query = [photos / "party.png", "-k", 9]
        commands = {
            "search": ["search", *query, "--html", written / "page.html"],
            "strip": ["search", *query, "--by", "embedding", "--strip", written / "strip.png"],
            "tables": ["search", *query, "--csv", written / "hits.csv", "--json"],
            "stats": ["stats"],
            "csv": ["export", written / "faces.csv"],
            "json": ["export", written / "faces.json"],
            "h5": ["export", written / "faces.h5"],
            "people": ["people", "list"],
            "encode": ["encode", directory, photos / "party.png"],
            "check": ["check"],
            "name": ["people", "name", "Eve", 1],
            "index": ["index", photos, "--names", "folders", "--workers", 1],
            "rebuild": ["rebuild"],
            "forget": ["forget", "--face", 1],
        }
        codes, printed = {}, ""
        for name in only or commands:
            where = [] if name == "encode" else ["--library", directory]
            codes[name], out, err = facehash(*commands[name], *where)
            assert codes[name] in (0, 1, 2, 3), (name, err)
            assert codes[name] != 2 or err.count("\n") == 1
            printed += out + err
        return codes, printed

    return run
