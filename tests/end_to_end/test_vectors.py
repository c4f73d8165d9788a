"""A method for vectors as docs/own_method.md shows it, from the command line to a report."""

import json

import numpy as np
import pytest
import yaml

from facehash import methods
from facehash.embedders.run import load_run
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from facehash.learning.encoding import encode, projections
from facehash.retrieval.codes_file import read_codes
from facehash.retrieval.evaluation import evaluate
from tests.helpers import linearhead
from tests.helpers.facehash_command import run_script

BRIEF = ("--set", "bits=16", "--set", "training.epochs=15", "--set", "training.learning_rate=0.02")


@pytest.fixture(scope="module")
def folder():
    root = linearhead.install()
    vectors, labels = linearhead.draw_vectors(people=20)
    np.savez(root / "vectors.npz", vectors=vectors, labels=[f"p{one}" for one in labels])
    words = (root / "linearhead" / "vectors.yaml", "--data", root / "vectors.npz")
    words += ("--runs", root / "runs", "--name", "head", *BRIEF)
    run_script("train.py", *words, PYTHONPATH=str(root))
    return root


@pytest.fixture(scope="module")
def report(folder):
    run = folder / "runs" / "head"
    printed = run_script("evaluate.py", run, "--recentre", PYTHONPATH=str(folder))
    return json.loads((run / "report.json").read_text()), printed


def test_a_report_has_the_scores_by_both_means(folder, report):
    report, printed = report
    assert report["method"] == "linearhead" and report["leaks"] == []
    assert report["dataset"]["protocol"] == "unseen" and report["dataset"]["identities"] == 4
    assert report["metrics"]["mAP"] > 0.7  # by chance about 0.28
    assert f"mAP {report['recentred']['mAP']:.4f} ({report['metrics']['mAP']:.4f})" in printed
    for key, other in (("metrics", "recentred"), ("metrics_asymmetric", "recentred_asymmetric")):
        assert report[key]["mAP"] > 0.7 and report[other]["mAP"] > 0.7
        assert report[key].keys() >= {"mAP", "P@50"}
    assert not (folder / "runs" / "head" / "figures" / "retrieval.png").exists()


def test_the_scores_by_the_mean_of_the_gallery_are_those_of_moved_vectors(folder, report):
    run = folder / "runs" / "head"
    start_backend(choose_backend())
    model = methods.load_model(run)
    with np.load(run / "split.npz") as split, np.load(folder / "vectors.npz") as file:
        names = ("train", "gallery", "query", "labels")
        train, gallery, query, labels = (split[name] for name in names)
        vectors = file["vectors"]
    codes = read_codes(run / "codes.npz")
    np.testing.assert_array_equal(codes.query_codes, encode(model, vectors[query]))
    scale = np.abs(projections(model, vectors[train])).mean(axis=0)
    expected = projections(model, vectors[query]) / scale
    np.testing.assert_allclose(codes.query_projections, expected, rtol=1e-5)
    # The stored mean is subtracted from vectors that are moved so that theirs is the same.
    moved = vectors - vectors[gallery].mean(axis=0) + np.float32(model.vector_mean)
    parts = (encode(model, moved[gallery]), encode(model, moved[query]))
    expected = evaluate(*parts, labels[gallery], labels[query], 16).metrics
    assert report[0]["recentred"]["mAP"] == pytest.approx(expected["mAP"], abs=0.02)


def test_photos_are_refused_in_one_line(folder):
    with pytest.raises(InputError, match="takes vectors of 16 numbers, not photos"):
        load_run(folder / "runs" / "head")


@pytest.mark.full
def test_a_table_has_rows_of_vectors_and_their_baselines(folder):
    head = {"id": "head", "label": "linear head", "config": "linearhead/vectors.yaml"}
    rows = [
        head | {"set": ["training.epochs=5"]},
        {"id": "itq", "label": "ITQ", "baseline": "itq", "of": "head"},
        {"id": "cosine", "label": "cosine", "baseline": "cosine", "of": "head"},
    ]
    table = {"title": "own", "note": "trial", "bits": [16], "seeds": [0], "protocols": ["unseen"]}
    (folder / "own.yaml").write_text(yaml.safe_dump(table | {"rows": rows}))
    words = ("--runs", folder / "table", "--results", folder / "results")
    data = ("--data", folder / "vectors.npz")
    table = ("-m", "experiments.reproduce", folder / "own.yaml", *data)
    run_script(*table, *words, PYTHONPATH=str(folder))
    cell = folder / "results" / "reports" / "own-head-16-unseen-s0.json"
    assert json.loads(cell.read_text())["recentred"].keys() >= {"mAP", "P@50"}
    rows = json.loads((folder / "results" / "own.json").read_text())["rows"]
    assert [row["row"] for row in rows] == ["head", "itq", "cosine"]
    assert rows[2]["metrics"]["mAP"]["mean"] > 0.9 and rows[2]["bytes_per_face"] == 16 * 4
    for row, keys in zip(rows, (3, 3, 1), strict=True):  # float vectors have one distance
        names = ("metrics_asymmetric", "recentred", "recentred_asymmetric")
        found = [row[name]["mAP"]["mean"] for name in names if name in row]
        assert len(found) == keys and min(found) > 0.5
    text = (folder / "results" / "own.md").read_text()
    assert "| mAP, asymmetric | mAP, recentred | mAP, recentred, asymmetric |" in text


@pytest.mark.full
def test_a_head_is_exported_in_every_format_and_compared_with_another_run(folder):
    run, path = folder / "runs" / "head", str(folder)
    for to in ("savedmodel", "onnx", "tflite"):
        printed = run_script("-m", "experiments.export", run, "--to", to, PYTHONPATH=path)
        assert "training vectors of vectors" in printed
    assert "+0.0000" in run_script("-m", "experiments.compare", run, run, PYTHONPATH=path)
