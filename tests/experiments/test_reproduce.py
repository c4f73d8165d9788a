"""A table from nothing to its page, as a user makes it: in new processes, on the ORL faces."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from experiments.table.reports import read_result
from facehash.runs.files import read_history
from tests.conftest import ROOT

ROWS = [
    {"id": "ddh", "label": "DDH", "config": str(ROOT / "configs/quickstart.yaml")},
    {"id": "ddh_lsh", "label": "LSH", "baseline": "lsh", "of": "ddh"},
    {"id": "ddh_itq", "label": "ITQ", "baseline": "itq", "of": "ddh", "bits": [16, 200]},
    {"id": "ddh_classifier", "label": "classes", "baseline": "classifier", "of": "ddh"},
    {"id": "ddh_cosine", "label": "cosine", "baseline": "cosine", "of": "ddh"},
]
CELLS = [
    "ddh-8-seen-s0", "ddh-16-seen-s0", "ddh_lsh-8-seen-s0", "ddh_lsh-16-seen-s0",
    "ddh_itq-16-seen-s0", "ddh_classifier-8-seen-s0", "ddh_classifier-16-seen-s0",
    "ddh_cosine-float-seen-s0",
]  # fmt: skip
IMPOSSIBLE = "ddh_itq-200-seen-s0"  # features of a 16-bit network have 64 dimensions


def write_table(path, epochs=3, **changes):
    rows = [dict(row) for row in ROWS]
    rows[0]["set"] = [f"training.epochs={epochs}", "training.backup_seconds=0.0"]
    table = {"title": "Trial <of> ORL", "note": "three epochs", "bits": [8, 16], "seeds": [0]}
    path.write_text(yaml.safe_dump(table | {"protocols": ["seen"], "rows": rows} | changes))
    return path


def command(table, *options):
    words = ["-m", "experiments.reproduce", table, "--runs", table.parent / "runs"]
    words += ["--results", table.parent / "results", *options]
    return [sys.executable, *map(str, words)]


def reproduce(table, *options):
    # Always two side by side: a network's last digits depend on the threads that it was given.
    options = ("--jobs", "2", *options)
    return subprocess.run(command(table, *options), cwd=ROOT, capture_output=True, text=True)


def reports(table):
    return {path.name for path in (table.parent / "results" / "reports").glob("*.json")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table that was made whole, but for the one cell that cannot be."""
    table = write_table(tmp_path_factory.mktemp("table") / "trial.yaml")
    return table, reproduce(table)


def test_one_failing_cell_does_not_stop_the_rest_and_is_named(made):
    table, done = made
    assert done.returncode == 3, done.stderr
    assert reports(table) == {f"trial-{name}.json" for name in CELLS}
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert IMPOSSIBLE in failed[0]
    assert "200 bits need vectors of length 200 or more, got length 64" in failed[0]
    assert f"{len(CELLS)} of {len(CELLS) + 1} done; 1 failed" in done.stdout


def test_every_form_of_the_results_is_written(made):
    table, done = made
    results = table.parent / "results"
    summary = read_result(results / "trial.json")
    assert len(summary["cells"]) == len(CELLS)
    assert summary["missing"] == [IMPOSSIBLE]
    for cell in summary["cells"]:
        assert {"seed", "commit", "backend", "packages", "metrics", "metrics_author"} <= cell.keys()
    document = (results / "trial.md").read_text()
    trained = next(r for r in summary["rows"] if (r["row"], r["bits"]) == ("ddh", 16))
    assert f"{trained['metrics']['mAP']['mean']:.3f}" in document
    assert "No published numbers beside ours" in document
    assert r"\begin{tabular}" in (results / "trial.tex").read_text()
    page = (results / "trial.html").read_text()
    assert "Trial &lt;of&gt; ORL" in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    figures = {path.name for path in (results / "figures" / "trial").iterdir()}
    names = ("map", "precision_radius2", "recall_radius2", "precision_recall", "precision_at")
    names += ("ties", "packing")
    assert figures == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for path in results.glob("trial.*"):
        assert str(path) in done.stdout


def test_the_baselines_stand_where_theory_puts_them(made):
    table, _ = made
    rows = {
        (r["row"], r["bits"]): r for r in read_result(table.parent / "results/trial.json")["rows"]
    }
    cosine = rows["ddh_cosine", None]
    assert cosine["bytes_per_face"] == 4 * 64
    assert cosine["metrics"]["P@r2"] is None
    # A float ranking has next to no ties; the random codes of the classifier's word have many.
    assert cosine["metrics"]["mAP_upper"]["mean"] - cosine["metrics"]["mAP_lower"]["mean"] < 0.01
    lsh = [rows["ddh_lsh", bits]["metrics"]["mAP"]["mean"] for bits in (8, 16)]
    assert lsh[0] < cosine["metrics"]["mAP"]["mean"]
    assert lsh[1] < cosine["metrics"]["mAP"]["mean"]


def test_a_finished_table_is_not_measured_again_and_needs_no_data(made):
    table, _ = made
    before = {
        path: path.stat().st_mtime_ns for path in (table.parent / "runs").rglob("model.keras")
    }
    started = time.monotonic()
    done = reproduce(table, "--data", "/nonexistent", "--only", "ddh", "--only", "ddh_cosine")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 60
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_lost_report_is_made_again_from_its_run_to_the_last_digit(made):
    table, _ = made
    path = table.parent / "results" / "reports" / "trial-ddh-16-seen-s0.json"
    before = json.loads(path.read_text())
    path.unlink()
    done = reproduce(table, "--only", "ddh")
    assert done.returncode == 0, done.stderr
    after = json.loads(path.read_text())
    for key in ("metrics", "metrics_author", "curves", "dataset", "cell"):
        assert after[key] == before[key]


def test_a_damaged_model_is_trained_again(made):
    table, _ = made
    name = "ddh-8-seen-s0"
    report = table.parent / "results" / "reports" / f"trial-{name}.json"
    before = json.loads(report.read_text())
    report.unlink()
    model = table.parent / "runs" / "trial" / name / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    done = reproduce(table, "--only", "ddh")
    assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["metrics"] == before["metrics"]


def complaint(done):
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_report_edited_by_hand_is_named(made):
    table, _ = made
    path = table.parent / "results" / "reports" / "trial-ddh_lsh-8-seen-s0.json"
    text = path.read_text()
    try:
        path.write_text(text.replace('"mAP":0.', '"mAP":0.9', 1))
        said = complaint(reproduce(table))
        assert path.name in said
        assert "changed since it was written" in said
        path.write_text(text.replace('"schema": 1', '"schema": 2'))
        assert "results of schema 2, this version reads 1" in complaint(reproduce(table))
    finally:
        path.write_text(text)


def test_a_table_that_asks_for_something_else_names_the_key(made):
    table, _ = made
    text = table.read_text()
    try:
        write_table(table, epochs=4)
        said = complaint(reproduce(table))
        assert "training.epochs (was 3, now 4)" in said
    finally:
        table.write_text(text)


def test_unknown_tables_rows_and_missing_data_are_told_in_one_line(tmp_path):
    assert "did you mean 'pubfig83'" in complaint(reproduce(tmp_path / "pubfig38.yaml"))
    table = write_table(tmp_path / "trial.yaml")
    assert "has the rows ddh, ddh_classifier" in complaint(reproduce(table, "--only", "dhh"))
    said = complaint(reproduce(table, "--data", tmp_path / "nowhere"))
    assert "nowhere does not exist" in said
    assert not (tmp_path / "runs").exists()


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_table_goes_on_and_ends_as_an_unbroken_one(made, tmp_path):
    whole, _ = made
    table = write_table(tmp_path / "trial.yaml")
    history = tmp_path / "runs" / "trial" / "ddh-8-seen-s0" / "history.csv"
    process = subprocess.Popen(
        command(table, "--jobs", "2"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: history.is_file() and len(read_history(history)) >= 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The cell's own process notices that its parent is gone and lets the run go.
    wait_for(lambda: not _holders(tmp_path / "runs"), 60)
    assert reports(table) <= {"trial-ddh-8-seen-s0.json", "trial-ddh-16-seen-s0.json"}
    done = reproduce(table)
    assert done.returncode == 3, done.stderr
    for name in CELLS:
        path = f"results/reports/trial-{name}.json"
        ours, theirs = (read_result(folder / path) for folder in (tmp_path, whole.parent))
        assert ours["metrics"] == theirs["metrics"], name


def _holders(runs):
    """List processes whose command names the runs of this test."""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read()
            except OSError:
                continue
            if os.fsencode(runs) in words:
                found.append(int(entry))
    return found
