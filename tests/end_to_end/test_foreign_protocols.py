"""evaluate.py on codes files with leave-one-out and with label sets."""

import json

import numpy as np
import pytest

import evaluate
from experiments.run.author_evaluator import bit_weights
from tests.helpers import oracles
from tests.helpers.facehash_command import command


def score(path, content):
    """Score a codes file as a user does; return its report and what was printed."""
    np.savez(path, **content)
    code, printed, errors = command(evaluate.app, "evaluate.py", "--codes", path)
    assert code == 0, errors
    report = path.with_name(f"{path.stem}-report") / "report.json"
    return json.loads(report.read_text()), printed


def test_leave_one_out_and_label_sets_are_scored_from_a_codes_file(tmp_path):
    rng = np.random.default_rng(0)
    codes, identities = rng.integers(0, 2, (24, 16)), np.arange(24) % 4
    content = {"gallery_codes": codes, "leave_one_out": 1}
    report, printed = score(tmp_path / "alone.npz", content | {"gallery_labels": identities})
    expected = {"protocol": "leave_one_out", "identities": 4, "gallery": 24, "query": 24}
    assert {key: report["dataset"][key] for key in expected} == expected
    assert "16 bits, leave-one-out\n24 queries, 24 gallery images of 4 people" in printed
    stars = []
    for query in range(24):
        others = [item for item in range(24) if item != query]
        differing = codes[query] != codes[others]
        relevant = [identities[item] == identities[query] for item in others]
        stars.append(
            oracles.average_precision(
                oracles.stable_ranking((differing @ bit_weights(16)).tolist(), relevant)
            )
        )
    assert report["metrics_author"]["mAP"] == pytest.approx(np.mean(stars))
    assert len(report["curves"]["precision_at"]["n"]) == 23

    one_hot = np.eye(4, dtype=bool)[identities]
    sets, printed = score(tmp_path / "sets.npz", content | {"gallery_label_sets": one_hot})
    for key in ("metrics", "metrics_author", "curves"):
        assert sets[key] == report[key]
    assert sets["dataset"]["identities"] is None and sets["dataset"]["labels"] == 4
    assert "24 gallery images with 4 labels" in printed

    with_both = content | {"gallery_label_sets": one_hot | (rng.random((24, 4)) < 0.2)}
    several, _ = score(tmp_path / "several.npz", with_both)
    assert several["metrics"]["mAP"] != sets["metrics"]["mAP"]


def test_projections_of_the_queries_are_scored_by_the_asymmetric_distance(tmp_path):
    rng = np.random.default_rng(1)
    gallery, projections = rng.integers(0, 2, (30, 16)), rng.normal(size=(6, 16))
    of_gallery, of_query = np.arange(30) % 3, np.arange(6) % 3
    content = {
        "gallery_codes": gallery,
        "query_codes": (projections >= 0).astype(int),
        "gallery_labels": of_gallery,
        "query_labels": of_query,
    }
    plain, _ = score(tmp_path / "plain.npz", content)
    assert plain["metrics_asymmetric"] is None
    report, printed = score(tmp_path / "both.npz", content | {"query_projections": projections})
    assert report["metrics"] == plain["metrics"]
    precisions = []
    for p, label in zip(projections, of_query, strict=True):
        order = np.argsort(-(2 * gallery - 1) @ p)
        relevant = (of_gallery[order] == label).tolist()
        precisions.append(oracles.average_precision(relevant))
    assert report["metrics_asymmetric"]["mAP"] == pytest.approx(np.mean(precisions), abs=1e-6)
    assert "asymmetric: the queries' float projections against the gallery's codes" in printed
