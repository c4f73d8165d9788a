"""evaluate.py on files of codes, as a user runs it."""

import json

import numpy as np
import pytest

import evaluate
from tests.helpers.facehash_command import command


@pytest.fixture
def codes(tmp_path):
    """Codes of 24 bits: 200 gallery and 60 queries of 20 people, with 11,400 impostor pairs."""
    rng = np.random.default_rng(0)
    centers = rng.integers(0, 2, (20, 24))
    labels = {"gallery": np.arange(200) % 20, "query": np.arange(60) % 20}
    arrays = {f"{role}_labels": of_role for role, of_role in labels.items()}
    for role, of_role in labels.items():
        noise = rng.random((len(of_role), 24)) < 0.1
        arrays[f"{role}_codes"] = (centers[of_role] ^ noise).astype(np.uint8)
    return arrays


def run(*words):
    return command(evaluate.app, "evaluate.py", *words)


def test_map_at_k_and_verification_are_printed_and_reported_by_name(codes, tmp_path):
    path = tmp_path / "codes.npz"
    np.savez(path, **codes)
    code, printed, errors = run("--codes", path, "--at", 50, "--at", 5, "--verification")
    assert code == 0, errors
    report = json.loads((tmp_path / "codes-report" / "report.json").read_text())
    names = [f"mAP@{k}/{d}" for k in (5, 50) for d in ("relevant", "min", "found")]
    assert list(report["metrics"])[-6:] == names
    for name in names:
        [line] = [line for line in printed.splitlines() if line.split()[:1] == [name]]
        assert line.split()[1] == f"{report['metrics'][name]:.4f}"
    found = report["verification"]
    assert (found["impostor_pairs"], found["TAR@1e-4"]) == (60 * 190, None)
    assert found["TAR@1e-3"]["lower"] <= found["TAR@1e-3"]["value"] <= found["TAR@1e-3"]["upper"]
    assert "TAR at FAR 1e-4  –" in printed and "needs 100,000 pairs of two people" in printed
    assert f"TAR at FAR 1e-3  {found['TAR@1e-3']['value']:.4f}" in printed
    assert f"distance at most {found['recommended']['distance']} (FAR" in printed
    assert (tmp_path / "codes-report" / "figures" / "verification.png").is_file()
    code, printed, _ = run("--codes", path)
    report = json.loads((tmp_path / "codes-report" / "report.json").read_text())
    assert report["verification"] is None and "TAR" not in printed
    assert not (tmp_path / "codes-report" / "figures" / "verification.png").exists()


def test_k_below_1_is_refused(codes, tmp_path):
    np.savez(tmp_path / "codes.npz", **codes)
    code, _, errors = run("--codes", tmp_path / "codes.npz", "--at", 0)
    assert code == 2 and "--at" in errors and errors.count("\n") == 1
