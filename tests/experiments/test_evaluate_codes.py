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
    assert "TAR at FAR 1e-4  –" in printed and "needs 100,000 distinct impostor pairs" in printed
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


def starred(folder):
    return json.loads((folder / "report.json").read_text())["metrics_author"]


def test_packed_codes_need_a_bit_order_for_the_authors_columns(codes, tmp_path, caplog):
    np.savez(tmp_path / "columns.npz", **codes)
    run("--codes", tmp_path / "columns.npz")
    packed = {name: np.packbits(codes[name], axis=1) for name in codes if "codes" in name}
    path = tmp_path / "packed.npz"
    np.savez(path, **codes | packed, bits=24, names=np.array(["a"]))
    code, printed, _ = run("--codes", path)
    assert code == 0 and "*" not in printed
    unread, omitted = (record.getMessage() for record in caplog.records)
    assert "1 array is not read: names" in unread
    assert "--bit-order little or big adds them" in omitted
    assert starred(tmp_path / "packed-report") is None
    code, printed, _ = run("--codes", path, "--bit-order", "big")
    assert code == 0 and "authors'" in printed
    assert len(caplog.records) == 3  # no second line on the order
    assert starred(tmp_path / "packed-report") == starred(tmp_path / "columns-report")


def test_a_table_and_a_folder_of_codes_score_as_the_file(codes, tmp_path):
    np.savez(tmp_path / "file.npz", **codes)
    (tmp_path / "folder").mkdir()
    for name, array in codes.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    lines = [
        f"{role},p{label},{''.join(map(str, code))}"
        for role in ("gallery", "query")
        for label, code in zip(codes[f"{role}_labels"], codes[f"{role}_codes"], strict=True)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["role,label,code", *lines]))
    reports = []
    for name in ("file.npz", "folder", "table.csv"):
        code, _, errors = run("--codes", tmp_path / name)
        assert code == 0, errors
        folder = tmp_path / f"{name.split('.')[0]}-report"
        reports.append(json.loads((folder / "report.json").read_text()))
    for report in reports[1:]:
        assert report["metrics"] == reports[0]["metrics"]
        assert report["metrics_author"] == reports[0]["metrics_author"]


def test_the_bit_order_is_for_packed_codes(codes, tmp_path):
    np.savez(tmp_path / "codes.npz", **codes)
    code, _, errors = run("--codes", tmp_path / "codes.npz", "--bit-order", "big")
    assert code == 2 and "one column per bit" in errors
    code, _, errors = run(tmp_path, "--bit-order", "big")
    assert code == 2 and "--bit-order is for packed --codes" in errors
