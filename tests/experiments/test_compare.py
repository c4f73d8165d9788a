import json
import shutil

import numpy as np
import pytest
import yaml

from experiments import compare
from facehash.codes import packed_from_bits
from facehash.retrieval.codes_file import CodeSet, read_codes, write_codes
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.vectors import evaluate_projections
from tests.conftest import ROOT
from tests.helpers.facehash_command import command

LABELS = np.arange(80) % 8, np.arange(24) % 8


def write(path, seed, bits=16, labels=LABELS, noise=0.1, projected=False):
    """Write codes of 8 people around centers that depend on the seed; or projections as well."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (8, bits))
    parts = [centers[of % 8] ^ (rng.random((len(of), bits)) < noise) for of in labels]
    path.parent.mkdir(exist_ok=True)
    floats = None
    if projected:
        sizes = rng.random(parts[1].shape).astype(np.float32)
        floats = np.where(parts[1], sizes, -sizes)
    codes = CodeSet(*map(packed_from_bits, parts), *labels, bits, query_projections=floats)
    write_codes(path, codes)
    return path


def run(*words):
    return command(compare.app, "experiments.compare", *words)


def refusal(*words):
    code, _, errors = run(*words)
    assert code == 2 and errors.count("\n") == 1, errors
    return errors


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path / "a.npz", 1), write(tmp_path / "b.npz", 2, bits=32, noise=0.2)


def test_every_metric_is_compared_on_the_terminal_and_in_json(pair, tmp_path):
    output = tmp_path / "comparison.json"
    code, printed, errors = run(*pair, "--at", 5, "--verification", "--output", output)
    assert code == 0, errors
    report = json.loads(output.read_text())
    assert (report["a"]["bits"], report["b"]["bits"]) == (16, 32)
    assert (report["queries"], report["people"], report["gallery"]) == (24, 8, 80)
    assert report["same_queries_by"] == "labels" and "no split says that" in printed
    scores = []
    for path in pair:
        codes = read_codes(path)
        arrays = (codes.gallery_codes, codes.query_codes, *LABELS)
        scores.append(evaluate(*arrays, codes.bits, at=[5]).metrics)
    assert list(report["metrics"]) == [*scores[0], "TAR@1e-2", "EER"]
    for name in scores[0]:
        found = report["metrics"][name]
        assert (found["a"], found["b"]) == (scores[0][name], scores[1][name])
        line = next(line for line in printed.splitlines() if line.split()[:1] == [name])
        assert line.split()[1:4] == [
            f"{found['a']:.4f}", f"{found['b']:.4f}", f"{found['difference']:+.4f}"
        ]  # fmt: skip
        for over in ("over_queries", "over_people"):
            assert found[over]["lower"] <= found["difference"] <= found[over]["upper"]
    assert report["metrics"]["EER"]["over_queries"] is None
    code, again, _ = run(*pair, "--at", 5, "--verification")
    assert again in printed  # the bootstrap is seeded


def test_projections_of_both_sides_are_compared_as_well(pair, tmp_path):
    a = write(tmp_path / "float-a.npz", 1, projected=True)
    b = write(tmp_path / "float-b.npz", 2, bits=32, noise=0.3, projected=True)
    output = tmp_path / "comparison.json"
    code, printed, errors = run(a, b, "--at", 5, "--output", output)
    assert code == 0, errors
    heading = "asymmetric: the queries' float projections against the galleries' codes"
    later = printed[printed.index(heading) :].splitlines()
    found = json.loads(output.read_text())["metrics_asymmetric"]
    for side, path in (("a", a), ("b", b)):
        codes = read_codes(path)
        arrays = (codes.gallery_codes, codes.query_projections, *LABELS, codes.bits)
        expected, _ = evaluate_projections(*arrays, at=[5])
        assert {name: one[side] for name, one in found.items()} == pytest.approx(expected)
    assert found["mAP"]["difference"] == pytest.approx(found["mAP"]["b"] - found["mAP"]["a"])
    assert found["mAP"]["over_people"]["lower"] < found["mAP"]["over_people"]["upper"]
    assert f"{found['mAP']['difference']:+.4f}" in later[1]
    code, printed, _ = run(pair[0], a)
    assert code == 0 and heading not in printed
    assert "only B has projections of the queries, so the asymmetric distance is not" in printed


def test_other_queries_and_galleries_are_refused_in_one_line(pair, tmp_path):
    a, _ = pair
    fewer = write(tmp_path / "fewer.npz", 1, labels=(LABELS[0], LABELS[1][:20]))
    assert "query labels (24,) and (20,) differ" in refusal(a, fewer)
    moved = write(tmp_path / "moved.npz", 1, labels=(LABELS[0], np.roll(LABELS[1], 1)))
    assert "24 of 24 query labels differ (the first is query 0)" in refusal(a, moved)
    other = write(tmp_path / "other.npz", 1, labels=(np.r_[LABELS[0][:-1], 0], LABELS[1]))
    assert "of 80 gallery labels differ" in refusal(a, other)
    shuffled = write(tmp_path / "shuffled.npz", 1, labels=(LABELS[0][::-1].copy(), LABELS[1]))
    assert run(a, shuffled)[0] == 0  # the order of the gallery has no influence
    assert "did you mean 'a.npz'?" in refusal(a.with_name("aa.npz"), a)
    (tmp_path / "model.keras").touch()
    assert "is a model; give its run directory" in refusal(a, tmp_path / "model.keras")
    assert "its name must end in .json" in refusal(a, a, "--output", tmp_path)


MADE = ROOT / "tests" / "fixtures" / "run-0.1.0" / "oldhash-16-s0"


def test_runs_are_compared_by_their_splits(tmp_path):
    one, two = (shutil.copytree(MADE, tmp_path / name) for name in ("one", "two"))
    code, printed, errors = run(one, two / "codes.npz", "--output", tmp_path / "c.json")
    assert code == 0, errors
    assert "no split" not in printed
    report = json.loads((tmp_path / "c.json").read_text())
    assert report["same_queries_by"] == "split"
    assert report["metrics"]["mAP"]["over_people"] == {"lower": 0, "upper": 0}
    split = dict(np.load(two / "split.npz"))
    np.savez(two / "split.npz", **split | {"query": split["query"][::-1]})
    assert "trained on different splits (split.npz: query differs)" in refusal(one, two)
    np.savez(two / "split.npz", **split | {"digest": np.array("0" * 64)})
    assert "the same people and counts, but other images" in refusal(one, two)
    config = yaml.safe_load((two / "config.yaml").read_text())
    config["dataset"]["side"] = 64  # the same images in another size have another digest
    (two / "config.yaml").write_text(yaml.safe_dump(config))
    assert run(one, two)[0] == 0


def test_a_leak_and_other_batch_statistics_are_said(tmp_path):
    one, two = (shutil.copytree(MADE, tmp_path / name) for name in ("one", "two"))
    report = json.loads((two / "report.json").read_text())
    (two / "report.json").write_text(json.dumps(report | {"leaks": ["12 queries trained on"]}))
    for folder, statistics in ((one, "moving"), (two, "reestimated")):
        accuracy = {"training": 1.0, "inference": 0.5}
        record = {"batch_statistics": statistics, "accuracy": accuracy}
        (folder / "training.json").write_text(json.dumps(record))
    code, printed, errors = run(one, two)
    assert code == 0, errors
    assert "B was scored with leaks: 12 queries trained on" in printed
    assert "batch statistics of A are moving, of B reestimated" in printed
    (two / "report.json").write_text("[]")
    assert "report.json: not a readable report" in refusal(one, two)


def test_codes_with_several_labels_are_grouped_by_label_sets(tmp_path):
    rng = np.random.default_rng(0)
    sets = np.zeros((30, 3), bool)
    sets[np.arange(30), np.arange(30) % 3] = True
    sets[::5] = True
    for name in ("a", "b"):
        codes = rng.integers(0, 2, (30, 12))
        path = tmp_path / f"{name}.npz"
        np.savez(path, gallery_codes=codes, gallery_label_sets=sets, leave_one_out=True)
    code, printed, errors = run(tmp_path / "a.npz", tmp_path / "b.npz", "--verification")
    assert code == 0, errors
    assert "30 queries of 4 label sets, 30 gallery items" in printed
    single = {"gallery_codes": codes, "query_codes": codes, "gallery_labels": np.arange(30) % 3}
    np.savez(tmp_path / "c.npz", **single, query_labels=np.arange(30) % 3)
    assert "only one of them is leave-one-out" in refusal(tmp_path / "a.npz", tmp_path / "c.npz")
