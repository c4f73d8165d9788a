"""`facehash bench` on a library of fakes."""

import json

import numpy as np
import pytest

from facehash.bench import plot
from facehash.bench.queries import draw_queries, read_faces
from facehash.bench.reembed import reembed
from facehash.bench.run import Plan, bench, label_of
from facehash.bench.table import format_bench
from facehash.codes import signs_from_packed
from facehash.errors import InputError
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.pipeline import default_pipeline
from facehash.vectors import Space
from tests.library import fakes
from tests.library.conftest import draw, save

SMALL = Plan(bits=(8, 16), rerank=3, near_duplicate=2, draws=2)


@pytest.fixture
def store(photos, index, directory):
    index(names="folders")
    with Store.open(directory) as store:
        yield store


def run(store, plan=SMALL):
    return bench(store, plan, fakes.make_pipeline, progress=False)


def test_every_method_is_measured_and_what_cannot_be_is_reported(store, photos, head):
    result = run(store)
    assert result["schema"] == 2
    methods = [(one["name"], one["bits"], one["bytes_per_face"]) for one in result["methods"]]
    assert methods == [
        ("cosine:12", None, 48),
        ("itq", 8, 1),
        ("itq, asymmetric", 8, 1),
        ("itq, top 3 re-ranked", 8, 49),
        ("lsh", 8, 1),
        ("lsh, asymmetric", 8, 1),
        ("lsh, top 3 re-ranked", 8, 49),
        ("lsh", 16, 2),
        ("lsh, asymmetric", 16, 2),
        ("lsh, top 3 re-ranked", 16, 50),
    ]
    assert result["skipped"] == [
        "itq with 16 bits: at most one bit per dimension, and vectors have 12 dimensions (lsh has "
        "no such limit)",
        "learned with 8, 16 bits: learned codes have 4 or 9 bits",
        "adapted with 8, 16 bits: adapted codes have 4 or 9 bits",
    ]
    assert result["library"]["faces"] == 5 and result["library"]["unnamed_faces"] == 2
    # Bo is on one photo: a candidate, but not a query. Two faces of Ann and two of Cy are queries.
    assert result["queries"]["faces"] == 4 and result["queries"]["people"] == 2
    assert result["queries"]["majority_accuracy"] == 0.5
    assert result["methods"][0]["recall@10"] == 1
    for method in result["methods"]:
        assert 0 <= method["mAP_lower"] <= method["mAP"] <= method["mAP_upper"] <= 1
        assert 0 < method["p50_ms"] <= method["p99_ms"] and method["build_seconds"] > 0
        assert len(method["knn_accuracy"]) == 9
        held_out = method["held_out"]
        assert held_out["draws"] == 2 and 0 <= held_out["P@1"] <= 1 and held_out["mAP_sd"] >= 0
        assert held_out["mAP_lower"] <= held_out["mAP"] <= held_out["mAP_upper"]
    assert [method["distance"] for method in result["methods"][:4]] == [
        None, "hamming", "asymmetric", "hamming",
    ]  # fmt: skip
    assert result["queries"]["held_out"] == 2
    text = json.dumps(result)
    assert not any(secret in text for secret in ("Ann", "Cy", str(photos), "photos/"))


def test_learned_and_adapted_codes_are_measured(store, head, tmp_path):
    plan = Plan(hashers=("learned", "adapted"), bits=(9,), rerank=0, near_duplicate=2, draws=1)
    result = run(store, plan)
    names = ["learned", "learned, asymmetric", "adapted", "adapted, asymmetric"]
    assert [method["name"] for method in result["methods"][1:]] == names
    hashers = [method["hasher"] for method in result["methods"][1:]]
    assert hashers == ["learned", "learned", "adapted", "adapted"]
    plot.write_tradeoff(result["methods"], tmp_path / "tradeoff.png")
    assert "adapted, asymmetric" in format_bench(result)


def test_another_embedder_is_measured_on_the_same_faces(store, directory, index, tmp_path):
    plan = Plan(hashers=(), embedders=("hamming:16", "euclidean:5"), near_duplicate=2)
    result = run(store, plan)
    assert [method["bits"] for method in result["methods"]] == [None, 16, None]
    assert [method["recall@10"] for method in result["methods"]] == [1, None, None]
    queries = draw_queries(read_faces(store, "embedding", store.settings().space), 2, 100, 0)
    pipeline = fakes.make_pipeline("halves", "euclidean:5")
    embedder = pipeline.make_embedder("euclidean:5")
    other = reembed(store, queries, pipeline, embedder, progress=False)
    index(library=tmp_path / "other", embedder="euclidean:5", names="folders")
    with Store.open(tmp_path / "other") as made:
        expected = read_faces(made, "embedding", Space("euclidean", 5))
    assert np.array_equal(other.faces.rows, expected.rows)
    assert other.query_indices is queries.query_indices


def test_people_that_another_network_was_trained_on_are_counted(store, monkeypatch):
    plan = Plan(hashers=(), embedders=("hamming:16",), near_duplicate=2)
    assert run(store, plan)["trained_people"] == {}
    people = frozenset({"Ann", "somebody else"})
    monkeypatch.setattr(fakes.Projection, "trained_people", people, raising=False)
    result = run(store, plan)
    assert result["trained_people"] == {"hamming:16": 1}
    count = result["queries"]["people"]
    assert f"hamming:16 was trained on 1 of these {count} people" in format_bench(result)


def test_a_library_of_codes_is_measured_by_them(photos, index, directory):
    index(embedder="hamming:24", names="folders")
    with Store.open(directory) as store:
        result = run(store)
    [method] = result["methods"]
    assert (method["bits"], method["bytes_per_face"], method["recall@10"]) == (24, 3, None)
    assert result["excluded"]["near_duplicate_cosine"] is None
    assert "the embedder of this library produces codes" in result["skipped"][0]
    assert "no near duplicates (codes do not show them)" in format_bench(result)


def asymmetric_scores(codes, floats, people, photos):
    """P@1 and mAP of every face as a query for the others, by a loop; there are no ties."""
    found = []
    for query in range(len(people)):
        others = [i for i in range(len(people)) if photos[i] != photos[query]]
        others.sort(key=lambda i: -sum(p * s for p, s in zip(floats[query], codes[i], strict=True)))
        right = [people[i] == people[query] for i in others]
        if any(right):
            ap = [sum(right[: r + 1]) / (r + 1) for r in range(len(right)) if right[r]]
            found.append((right[0], np.mean(ap)))
    return np.mean(found, axis=0)


def test_a_library_of_codes_with_projections_is_measured_by_both_distances(
    photos, index, directory
):
    index(embedder="projecting:24", names="folders")
    with Store.open(directory) as store:
        result = run(store)
        faces = read_faces(store, "code", store.settings().space)
        # The projections again, from pictures that are cropped as the library does.
        plan = Plan(hashers=(), embedders=("projecting:24",), near_duplicate=2, draws=0)
        again = run(store, plan)
        pipeline = fakes.make_pipeline("halves", "projecting:24")
        embedder = pipeline.make_embedder("projecting:24")
        queries = draw_queries(faces, 2, 100, 0)
        floats = reembed(store, queries, pipeline, embedder, progress=False).faces.projections
        codes, other = result["methods"]
        names = ["projecting:24", "projecting:24, asymmetric"]
        assert [codes["name"], other["name"]] == names
        assert [one["distance"] for one in (codes, other)] == ["hamming", "asymmetric"]
        assert (other["bits"], other["bytes_per_face"], other["is_embedder"]) == (24, 3, True)
        signs = signs_from_packed(faces.rows, 24)
        assert ((floats >= 0) == (signs > 0)).all()
        expected = asymmetric_scores(signs, floats, faces.people, faces.photos)
        assert [other["P@1"], other["mAP"]] == pytest.approx(expected)
        assert other["held_out"]["draws"] == 2
        assert [one["name"] for one in again["methods"]] == 2 * names
        assert again["methods"][3]["mAP"] == other["mAP"]
        assert "projecting:24, asymmetric" in format_bench(result)
        # Without its photos, the codes alone can be measured.
        save(photos / "Ann" / "0.png", draw(99))
        result = run(store)
        assert [one["name"] for one in result["methods"]] == names[:1]
        assert "asymmetric distance: the run or a photo" in result["skipped"][0]
        assert str(photos) not in json.dumps(result)


def test_people_can_be_excluded_as_if_they_were_not_in_the_library(store):
    result = run(store, Plan(hashers=(), near_duplicate=2, exclude_people=("Cy",)))
    assert result["library"]["people"] == 2 and result["queries"]["faces"] == 2
    assert result["library"]["unnamed_faces"] == 2


def test_libraries_without_a_correct_result_are_refused(photos, index, directory, tmp_path):
    index()
    with Store.open(directory) as store, pytest.raises(LibraryError, match="no face has a name"):
        run(store)
    lines = [f"{path},{path.stem}{path.parent.name}" for path in sorted(photos.rglob("?.png"))]
    (tmp_path / "list.csv").write_text("path,name\n" + "\n".join(lines))
    index(names=f"csv:{tmp_path / 'list.csv'}")
    complaint = r"no person is on two photos \(5 names, 5 faces\).*noise"
    with Store.open(directory) as store, pytest.raises(LibraryError, match=complaint):
        run(store)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (Plan(hashers=("lhs",)), "--codes lhs: no such codes.*did you mean 'lsh'"),
        (Plan(bits=(64, 2048)), "--bits: 1 to 1024 each, got 64, 2048"),
        (Plan(near_duplicate=-2), "--near-duplicate: a cosine"),
        (Plan(queries=0), "--queries must be at least 1"),
        (Plan(draws=-1), "--rerank and --draws at least 0"),
    ],
)
def test_a_plan_that_measures_nothing_is_refused_at_once(store, plan, complaint):
    with pytest.raises(InputError, match=complaint):
        run(store, plan)


def test_the_chart_shows_every_method(store, tmp_path, monkeypatch):
    result = run(store)
    figures = []
    monkeypatch.setattr(plot, "save", lambda figure, path: figures.append(figure))
    plot.write_tradeoff(result["methods"], tmp_path / "tradeoff.png", "five faces")
    [figure] = figures
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"ITQ, asymmetric", "LSH, top 3 re-ranked", "cosine:12, vectors"} <= set(labels)
    [line] = [line for line in figure.axes[0].lines if line.get_label() == "LSH, Hamming"]
    codes = [method for method in result["methods"] if method["name"] == "lsh"]
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata().tolist() == [method["held_out"]["P@1"] for method in codes]


def test_the_label_of_an_embedder_is_its_file_or_run_without_a_path(tmp_path):
    assert label_of("keras:/x/net.keras,size=160") == "net.keras"
    run_folder = tmp_path / "secret" / "ddh-24"
    run_folder.mkdir(parents=True)
    assert label_of(default_pipeline("yunet", str(run_folder)).embedder) == "ddh-24"


def test_a_photo_that_has_changed_is_not_embedded_again(store, photos):
    save(photos / "Ann" / "0.png", draw(99))
    with pytest.raises(LibraryError, match="0.png: gone or changed .*; facehash index"):
        run(store, Plan(hashers=(), embedders=("cosine:5",)))
