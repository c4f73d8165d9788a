"""`facehash bench` on a library of fakes."""

import json

import numpy as np
import pytest

from facehash.bench import plot
from facehash.bench.methods import fit
from facehash.bench.queries import draw_trials, read_faces
from facehash.bench.reembed import embed_again
from facehash.bench.run import Plan, bench, label_of
from facehash.bench.table import format_bench
from facehash.errors import InputError
from facehash.hashing import HASHERS
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.pipeline import default_pipeline
from facehash.vectors import Space
from tests.library import fakes
from tests.library.conftest import draw, save

SMALL = Plan(bits=(8, 16), shortlist=3, near_duplicate=2)


@pytest.fixture
def store(photos, index, directory):
    index(names="folders")
    with Store.open(directory) as store:
        yield store


def test_every_way_is_measured_and_what_cannot_be_is_told(store):
    result = bench(store, SMALL, fakes.make_pipeline, progress=False)
    ways = [(way["method"], way["bits"], way["bytes_a_face"]) for way in result["ways"]]
    ordered = "3 put in order by vectors"
    assert ways == [
        ("cosine:12", None, 48),
        ("itq", 8, 1),
        (f"itq, {ordered}", 8, 49),
        ("lsh", 8, 1),
        (f"lsh, {ordered}", 8, 49),
        ("lsh", 16, 2),
        (f"lsh, {ordered}", 16, 50),
    ]
    assert result["skipped"] == [
        "itq of 16 bits: has at most one bit a dimension, and vectors have 12"
    ]
    assert result["library"]["faces"] == 5 and result["library"]["unnamed_faces"] == 2
    # Bo is on one photo: to be found, but not to ask.
    assert result["queries"]["faces"] == 4 and result["queries"]["people"] == 2
    assert result["ways"][0]["recall@10"] == 1
    for way in result["ways"]:
        assert 0 <= way["mAP_lower"] <= way["mAP"] <= way["mAP_upper"] <= 1
        assert 0 < way["p50_ms"] <= way["p99_ms"] and way["build_seconds"] > 0
        assert len(way["neighbours"]) == 9


def test_what_is_written_holds_neither_names_nor_paths(store, photos):
    result = bench(store, SMALL, fakes.make_pipeline, progress=False)
    text = json.dumps(result)
    for secret in ("Ann", "Cy", str(photos), "photos/"):
        assert secret not in text


def test_another_embedder_is_tried_on_the_very_same_faces(store, directory, index, tmp_path):
    plan = Plan(hashers=(), embedders=("hamming:16", "euclidean:5"), near_duplicate=2)
    result = bench(store, plan, fakes.make_pipeline, progress=False)
    assert [way["bits"] for way in result["ways"]] == [None, 16, None]
    assert [way["recall@10"] for way in result["ways"]] == [1, None, None]
    space = store.settings().space
    trials = draw_trials(read_faces(store, "embedding", space), 2, 100, 0)
    pipeline = fakes.make_pipeline("halves", "euclidean:5")
    embedder = pipeline.make_embedder("euclidean:5")
    again = embed_again(store, trials, pipeline, embedder, progress=False)
    other = tmp_path / "other"
    index(library=other, embedder="euclidean:5", names="folders")
    with Store.open(other) as made:
        expected = read_faces(made, "embedding", Space("euclidean", 5))
    assert np.array_equal(again.faces.rows, expected.rows)
    assert again.asked is trials.asked


def test_the_baseline_names_every_query_after_the_commonest_of_those_who_ask(store):
    result = bench(store, SMALL, fakes.make_pipeline, progress=False)
    # Two of Ann, two of Cy; Bo does not ask.
    assert result["queries"]["share_of_the_commonest_person"] == 0.5


def test_codes_are_fitted_to_unnamed_faces_too(store):
    faces = read_faces(store, "embedding", store.settings().space)
    assert len(faces.every) == len(faces) + faces.unnamed == 7
    hasher, codes, _ = fit(draw_trials(faces, 2, 100, 0), "itq", 8, 0)
    assert (codes == HASHERS["itq"].fit(faces.every, 8, 0).encode(faces.rows)).all()
    assert len(codes) == 5 and hasher.bits == 8


def test_other_embedders_are_made_before_anything_is_measured(store, monkeypatch):
    monkeypatch.setattr("facehash.bench.run.measure", None)
    monkeypatch.setattr("facehash.bench.run.embed_again", None)
    with pytest.raises(InputError, match="no such embedder"):
        bench(store, Plan(embedders=("cosine:5", "sphere:3")), fakes.make_pipeline, False)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.5])
def test_a_limit_that_is_no_number_is_refused(limit):
    with pytest.raises(InputError, match="--near-duplicate: a cosine"):
        Plan(near_duplicate=limit).check()


def test_a_photo_that_changed_since_is_not_embedded_again(store, photos):
    save(photos / "Ann" / "0.png", draw(99))
    with pytest.raises(LibraryError, match="0.png: gone or changed .*; facehash index"):
        bench(store, Plan(hashers=(), embedders=("cosine:5",)), fakes.make_pipeline, False)


def test_a_library_of_codes_is_measured_by_them(photos, index, directory):
    index(embedder="hamming:24", names="folders")
    with Store.open(directory) as store:
        result = bench(store, SMALL, fakes.make_pipeline, progress=False)
    [way] = result["ways"]
    assert (way["bits"], way["bytes_a_face"], way["recall@10"]) == (24, 3, None)
    assert result["left_out"]["near_duplicate_cosine"] is None
    assert "this library has none" in result["skipped"][0]
    assert "which codes do not tell" in format_bench(result)


def test_people_can_be_left_out_as_if_they_were_not_there(store):
    plan = Plan(hashers=(), near_duplicate=2, leave_out=("Cy",))
    result = bench(store, plan, fakes.make_pipeline, progress=False)
    assert result["library"]["people"] == 2 and result["queries"]["faces"] == 2
    assert result["library"]["unnamed_faces"] == 2
    faces = read_faces(store, "embedding", store.settings().space, ("Cy",))
    assert len(faces.every) == len(faces) + 2


def test_labels_that_never_repeat_are_refused_with_the_reason(photos, index, directory, tmp_path):
    lines = [f"{path},{path.stem}{path.parent.name}" for path in sorted(photos.rglob("?.png"))]
    (tmp_path / "list.csv").write_text("path,name\n" + "\n".join(lines))
    index(names=f"csv:{tmp_path / 'list.csv'}")
    with (
        Store.open(directory) as store,
        pytest.raises(LibraryError, match=r"nobody is on two photos \(5 names, 5 faces\).*noise"),
    ):
        bench(store, SMALL, fakes.make_pipeline, progress=False)


def test_a_library_without_names_is_refused(photos, index, directory):
    index()
    with Store.open(directory) as store, pytest.raises(LibraryError, match="no face has a name"):
        bench(store, SMALL, fakes.make_pipeline, progress=False)


def test_near_duplicates_of_all_photos_leave_nobody_to_be_found(store):
    with pytest.raises(LibraryError, match="nobody is left to be found"):
        bench(store, Plan(near_duplicate=-1), fakes.make_pipeline, progress=False)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (Plan(hashers=("lhs",)), "--codes lhs: no such codes.*did you mean 'lsh'"),
        (Plan(bits=(64, 2048)), "--bits: 1 to 1024 each, got 64, 2048"),
        (Plan(near_duplicate=-2), "--near-duplicate: a cosine"),
        (Plan(queries=0), "--queries must be at least 1"),
    ],
)
def test_a_plan_that_measures_nothing_is_refused_at_once(store, plan, complaint):
    with pytest.raises(InputError, match=complaint):
        bench(store, plan, fakes.make_pipeline, progress=False)


def test_the_table_names_every_way_and_the_vote(store):
    text = format_bench(bench(store, SMALL, fakes.make_pipeline, progress=False))
    assert "5 named faces of 3 people on 5 photos, described by cosine:12; 2 faces" in text
    assert "lsh, 3 put in order by vectors    16     50" in text
    assert "leave-one-out accuracy by identity" in text and "not measured: itq of 16" in text


def test_the_trade_off_is_drawn(store, tmp_path, monkeypatch):
    result = bench(store, SMALL, fakes.make_pipeline, progress=False)
    figures = []
    monkeypatch.setattr(plot, "save", lambda figure, path: figures.append(figure))
    plot.write_tradeoff(result["ways"], tmp_path / "tradeoff.png", "five faces")
    [figure] = figures
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    for label in ("ITQ, bits at the marks", "LSH, vectors order the best 3", "cosine:12, vectors"):
        assert label in labels
    [line] = [line for line in figure.axes[0].lines if line.get_label().startswith("LSH, bits")]
    codes = [way for way in result["ways"] if way["method"] == "lsh"]
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata().tolist() == [way["P@1"] for way in codes]


def test_the_folder_of_a_run_is_told_without_its_path(tmp_path):
    run = tmp_path / "secret" / "ddh-24"
    run.mkdir(parents=True)
    assert label_of(default_pipeline("yunet", str(run)).embedder) == "ddh-24"


def test_an_embedder_is_called_after_its_file_or_run():
    names = {"run:/a/b/ddh-48": "ddh-48", "keras:/x/net.keras,size=160": "net.keras"}
    assert {name: label_of(name) for name in names} == names
    assert label_of("sface") == "sface"
