"""A whole table as a user makes it: in new processes, on the ORL faces."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from experiments.reproduce import app
from experiments.table.reports import read_result
from facehash.runs.files import read_history
from tests.conftest import ROOT
from tests.helpers.facehash_command import command as here

ROWS = [
    {"id": "ddh", "label": "DDH", "config": str(ROOT / "configs/quickstart.yaml")},
    {"id": "ddh_itq", "label": "ITQ", "baseline": "itq", "of": "ddh", "bits": [200]},
    {"id": "ddh_classifier", "label": "class", "baseline": "classifier", "of": "ddh", "bits": [16]},
    {"id": "ddh_cosine", "label": "cosine", "baseline": "cosine", "of": "ddh"},
]
CELLS = ["ddh-16-seen-s0", "ddh_classifier-16-seen-s0", "ddh_cosine-float-seen-s0"]
IMPOSSIBLE = "ddh_itq-200-seen-s0"  # features of a 16-bit network have 64 dimensions


def write_table(path):
    rows = [dict(row) for row in ROWS]
    rows[0]["set"] = ["training.epochs=3", "training.backup_seconds=0.0"]
    table = {"title": "Trial <of> ORL", "note": "three epochs", "bits": [16], "seeds": [0]}
    path.write_text(yaml.safe_dump(table | {"protocols": ["seen"], "rows": rows}))
    return path


def command(table, *options):
    words = ["-m", "experiments.reproduce", table, "--runs", table.parent / "runs"]
    words += ["--results", table.parent / "results", *options]
    return [sys.executable, *map(str, words)]


def reproduce(table, *options):
    # Always two jobs: the last digits of a network depend on its number of threads.
    options = ("--jobs", "2", *options)
    return subprocess.run(command(table, *options), cwd=ROOT, capture_output=True, text=True)


def reports(table):
    return {path.name for path in (table.parent / "results" / "reports").glob("*.json")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A complete table, except for the one cell that must fail."""
    table = write_table(tmp_path_factory.mktemp("table") / "trial.yaml")
    return table, reproduce(table)


def test_a_table_is_written_in_every_format_although_a_cell_fails_which_is_named(made):
    table, done = made
    assert done.returncode == 3, done.stderr
    assert reports(table) == {f"trial-{name}.json" for name in CELLS}
    [failed] = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert IMPOSSIBLE in failed
    assert "200 bits need vectors of length 200 or more, got length 64" in failed
    assert f"{len(CELLS)} of {len(CELLS) + 1} cells done, 1 failed" in done.stdout
    results = table.parent / "results"
    summary = read_result(results / "trial.json")
    assert len(summary["cells"]) == len(CELLS)
    assert summary["missing"] == [IMPOSSIBLE]
    for cell in summary["cells"]:
        assert {"seed", "commit", "backend", "packages", "metrics", "metrics_author"} <= cell.keys()
    rows = {(row["row"], row["bits"]): row for row in summary["rows"]}
    document = (results / "trial.md").read_text()
    assert f"{rows['ddh', 16]['metrics']['mAP']['mean']:.3f}" in document
    assert r"\begin{tabular}" in (results / "trial.tex").read_text()
    assert "Trial &lt;of&gt; ORL" in (results / "trial.html").read_text()
    assert len(list((results / "figures" / "trial").iterdir())) == 2 * 7
    for path in results.glob("trial.*"):
        assert str(path) in done.stdout
    cosine = rows["ddh_cosine", None]
    assert cosine["bytes_per_face"] == 4 * 64
    assert cosine["metrics"]["P@r2"] is None
    # A ranking by float vectors has next to no ties.
    assert cosine["metrics"]["mAP_upper"]["mean"] - cosine["metrics"]["mAP_lower"]["mean"] < 0.01
    assert rows["ddh", 16]["metrics"]["mAP"]["mean"] < cosine["metrics"]["mAP"]["mean"]


@pytest.mark.full
def test_a_finished_table_is_not_measured_again_and_needs_no_data(made):
    table, _ = made
    models = list((table.parent / "runs").rglob("model.keras"))
    before = {path: path.stat().st_mtime_ns for path in models}
    done = reproduce(table, "--data", "/nonexistent", "--only", "ddh", "--only", "ddh_cosine")
    assert done.returncode == 0, done.stderr
    assert "running" not in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.full
def test_a_value_of_k_added_later_is_scored_from_the_trained_networks(made, tmp_path):
    table = shutil.copytree(made[0].parent, tmp_path / "copy") / made[0].name
    trained = {path: path.stat().st_mtime_ns for path in table.parent.rglob("model.keras")}
    table.write_text(table.read_text() + "at: [5]\n")
    done = reproduce(table, "--only", "ddh", "--only", "ddh_cosine")
    assert done.returncode == 0, done.stderr
    assert trained == {path: path.stat().st_mtime_ns for path in trained}
    results = table.parent / "results"
    for suffix in (".md", ".tex", ".html"):
        assert "mAP@5/found" in (results / f"trial{suffix}").read_text()
    for name in (CELLS[0], CELLS[2]):
        metrics = read_result(results / "reports" / f"trial-{name}.json")["metrics"]
        assert 0 < metrics["mAP@5/relevant"] <= metrics["mAP@5/min"] <= metrics["mAP@5/found"] <= 1
    document = (results / "trial.md").read_text()
    assert "| – |" in document  # the classifier code has not been scored again


@pytest.mark.full
def test_a_lost_report_is_made_again_to_the_last_digit_and_a_damaged_model_trained_again(made):
    table, _ = made
    report = table.parent / "results" / "reports" / "trial-ddh-16-seen-s0.json"
    model = table.parent / "runs" / "trial" / "ddh-16-seen-s0" / "model.keras"
    before = json.loads(report.read_text())
    whole = ("metrics", "metrics_author", "curves", "dataset", "cell")
    for keys, size in ((whole, None), (("metrics",), 1000)):
        report.unlink()
        model.write_bytes(model.read_bytes()[:size])
        done = reproduce(table, "--only", "ddh")
        assert done.returncode == 0, done.stderr
        made_again = json.loads(report.read_text())
        assert [made_again[key] for key in keys] == [before[key] for key in keys]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--only", "dhh"], "has the rows ddh, ddh_classifier"),
        (["--data", "nowhere"], "nowhere does not exist"),
    ],
)
def test_an_unknown_row_and_missing_data_are_named_in_one_line(tmp_path, options, message):
    words = command(write_table(tmp_path / "trial.yaml"), *options)[3:]
    code, _, errors = here(app, "experiments.reproduce", *words)
    assert code == 2, errors
    [line] = errors.splitlines()
    assert message in line
    assert not (tmp_path / "runs").exists()


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.full
def test_a_killed_table_continues_and_equals_an_uninterrupted_one(made, tmp_path):
    whole, _ = made
    table = write_table(tmp_path / "trial.yaml")
    history = tmp_path / "runs" / "trial" / "ddh-16-seen-s0" / "history.csv"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(table, "--jobs", "2"), cwd=ROOT, **quiet)
    wait_for(lambda: history.is_file() and len(read_history(history)) >= 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The process of the cell notices that its parent is gone, and ends.
    wait_for(lambda: not _holders(tmp_path / "runs"), 60)
    assert reports(table) <= {"trial-ddh-16-seen-s0.json"}
    done = reproduce(table)
    assert done.returncode == 3, done.stderr
    for name in CELLS:
        path = f"results/reports/trial-{name}.json"
        ours, theirs = (read_result(folder / path) for folder in (tmp_path, whole.parent))
        assert ours["metrics"] == theirs["metrics"], name


def _holders(runs):
    """List the processes whose command line contains the runs of this test."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended meanwhile
            found += [path] * (os.fsencode(runs) in path.read_bytes())
    return found
