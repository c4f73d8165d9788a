"""train.py and evaluate.py as a user runs them: from a YAML file to a report."""

import importlib.util
import json
import shlex
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

import evaluate
import train
from facehash.codes import bits_from_packed
from facehash.retrieval.codes_file import read_codes
from facehash.runs.directory import RunDirectory
from facehash.runs.files import read_history
from tests.conftest import ROOT, shared_path
from tests.helpers.facehash_command import command
from tests.helpers.facehash_command import run_script as run

YOUTUBE = "configs/ddh/youtube_faces.yaml"
QUICKSTART = "configs/quickstart.yaml"
SETTINGS = (
    "--set", "training.epochs=5", "--set", "training.batch=16",
    "--set", "training.learning_rate=3e-3", "--set", "bits=24",
)  # fmt: skip
REPORT_KEYS = {
    "schema", "method", "bits", "seed", "backend", "dataset", "metrics", "metrics_author",
    "curves", "code", "seconds", "verification", "training", "leaks", "metrics_asymmetric",
    "recentred", "recentred_asymmetric",
}  # fmt: skip
FIGURES = {"precision_recall.png", "precision_at.png", "distances.png", "retrieval.png"}
APPS = {"train.py": train.app, "evaluate.py": evaluate.app}


@pytest.fixture
def here(monkeypatch, cache):
    """Return a function that runs a command in this process, without FACEHASH_DATA."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("FACEHASH_CACHE", cache)
    monkeypatch.delenv("FACEHASH_DATA", raising=False)
    return lambda script, *words: command(APPS[script], script, *words)


def refusal(result):
    """Return the one line of a command that refused its input."""
    code, _, errors = result
    assert code == 2, errors
    assert errors.count("\n") == 1, errors
    return errors


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cache):
    """A run trained on the fixture in the layout of the authors' YouTube Faces pickles."""
    runs = tmp_path_factory.mktemp("runs")
    data = shared_path("pickles", "youtube_faces")
    printed = run("train.py", YOUTUBE, "--data", data, "--runs", runs, *SETTINGS,
                  FACEHASH_CACHE=cache)  # fmt: skip
    path = runs / "youtube_faces-24-s0"
    assert f"score it with: python evaluate.py {path}" in printed
    return path


@pytest.fixture(scope="session")
def scored(trained, cache):
    """The same run, scored, and what that printed."""
    return trained, run("evaluate.py", trained, FACEHASH_CACHE=cache)


def test_a_run_directory_holds_all_that_the_contract_names(scored):
    path, _ = scored
    names = {"config.yaml", "environment.json", "split.npz", "history.csv", "model.keras"}
    names |= {"codes.npz", "report.json", "figures", "state.npz", "training.json"}
    assert {entry.name for entry in path.iterdir()} == names
    figures = {entry.name for entry in (path / "figures").iterdir()}
    assert figures == FIGURES | {"learning_curve.png"}
    for figure in (path / "figures").iterdir():
        with Image.open(figure) as image:
            assert image.width > 600
    environment = json.loads((path / "environment.json").read_text())
    assert environment["backend"] == "tensorflow"
    assert environment["seed"] == 0
    assert len(read_history(path / "history.csv")) == 5


def test_the_report_follows_the_schema_and_beats_chance(scored):
    path, printed = scored
    report = report_of(path)
    assert set(report) == REPORT_KEYS
    assert (report["schema"], report["method"], report["bits"], report["seed"]) == (2, "ddh", 24, 0)
    counts = {"identities": 40, "train": 800, "gallery": 800, "query": 200}
    expected = {"name": "youtube_faces", "protocol": "seen", "split": "given"} | counts
    assert report["dataset"].items() >= expected.items()
    duplicates = report["dataset"]["duplicates"]
    assert duplicates.keys() == {"same_person", "across_people", "gallery_and_query"}
    metrics = report["metrics"]
    assert metrics["mAP_lower"] <= metrics["mAP"] <= metrics["mAP_upper"]
    assert metrics["mAP"] > 3 / 40
    assert f"{metrics['mAP']:.4f}" in printed
    assert f"{report['metrics_author']['mAP']:.4f}*" in printed
    assert report["code"]["dead_bits"] == 0
    assert "0 of 24 bits are constant" in printed


def test_a_network_of_pixels_is_scored_by_the_asymmetric_distance(scored):
    path, printed = scored
    report, codes = report_of(path), read_codes(path / "codes.npz")
    signs = np.where(bits_from_packed(codes.gallery_codes, 24), 1.0, -1.0)
    precisions = []
    for p, person in zip(codes.query_projections.astype(float), codes.query_labels, strict=True):
        similarity = [sum(p[j] * row[j] for j in range(24)) for row in signs]
        # Without ties between people, whose order would matter.
        right = (codes.gallery_labels == person)[np.argsort(similarity, kind="stable")[::-1]]
        precisions.append(np.mean(np.arange(1, right.sum() + 1) / (np.flatnonzero(right) + 1)))
    found = report["metrics_asymmetric"]["mAP"]
    assert found == pytest.approx(np.mean(precisions), abs=1e-3)
    assert found > report["metrics"]["mAP"]
    assert "asymmetric: the queries' float projections" in printed
    # Of the training images, here the gallery, each bit has the mean size 1.
    sizes = np.abs(codes.query_projections).mean(axis=0)
    assert 0.5 < sizes.min() and sizes.max() < 2


def test_the_codes_file_scores_the_same_as_the_run(scored, tmp_path, here):
    path, _ = scored
    report = report_of(path)
    codes = read_codes(path / "codes.npz")
    matrices = {
        "gallery_codes": bits_from_packed(codes.gallery_codes, 24),
        "query_codes": bits_from_packed(codes.query_codes, 24),
        "gallery_labels": codes.gallery_labels,
        "query_labels": codes.query_labels,
    }
    scipy.io.savemat(tmp_path / "codes.mat", matrices)
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        for name, matrix in matrices.items():
            file[name] = matrix
    np.savez(tmp_path / "codes.npz", **matrices)
    for suffix in ("npz", "h5", "mat"):
        code, _, errors = here("evaluate.py", "--codes", tmp_path / f"codes.{suffix}")
        assert code == 0, errors
        foreign = report_of(tmp_path / "codes-report")
        assert foreign["metrics"] == pytest.approx(report["metrics"], rel=1e-12)
        assert foreign["metrics_author"] == pytest.approx(report["metrics_author"], rel=1e-12)
        assert foreign["method"] is foreign["seed"] is foreign["backend"] is None
    figures = {entry.name for entry in (tmp_path / "codes-report" / "figures").iterdir()}
    assert figures == FIGURES - {"retrieval.png"}


def test_a_checkpoint_with_a_configuration_scores_like_its_run(scored, tmp_path, here, monkeypatch):
    path, _ = scored
    # The parent folder of data sets.
    monkeypatch.setenv("FACEHASH_DATA", str(shared_path("pickles")))
    words = ("--config", YOUTUBE, "--output", tmp_path)
    code, _, errors = here("evaluate.py", path / "model.keras", *words)
    assert code == 0, errors
    bare, report = report_of(tmp_path), report_of(path)
    assert bare["metrics"] == report["metrics"]
    assert bare["dataset"] == report["dataset"]
    assert bare["seed"] is None


def test_a_checkpoint_that_has_seen_the_queries_is_refused_or_marked(scored, tmp_path, here):
    path, printed = scored
    assert report_of(path)["leaks"] == [] and "LEAK" not in printed
    settings = (ROOT / YOUTUBE).read_text()
    config = tmp_path / "unseen.yaml"
    config.write_text(settings.replace("dataset:", "dataset:\n  protocol: unseen"))
    words = ("evaluate.py", path / "model.keras", "--config", config, "--output", tmp_path / "out",
             "--data", shared_path("pickles", "youtube_faces"))  # fmt: skip
    line = refusal(here(*words))
    leak = "the protocol is 'unseen', but 8 of 8 people were trained on, for example"
    assert leak in line and "--allow-leaks" in line
    assert not (tmp_path / "out").exists()
    code, printed, _ = here(*words, "--allow-leaks")
    assert code == 0
    assert f"LEAK: {leak}" in printed
    report = report_of(tmp_path / "out")
    assert [leak in line for line in report["leaks"]] == [True]
    assert report["dataset"]["split"] == "given"


@pytest.mark.full
def test_identities_held_out_of_training_can_be_searched_for(tmp_path, cache):
    run("train.py", "configs/ddh/facescrub.yaml", "--data", shared_path("pickles", "facescrub"),
        "--runs", tmp_path, "--name", "unseen", "--set", "dataset.protocol=unseen",
        "--set", "training.epochs=2", "--set", "bits=12", FACEHASH_CACHE=cache)  # fmt: skip
    run("evaluate.py", tmp_path / "unseen", FACEHASH_CACHE=cache)
    counts = {"identities": 8, "train": 640, "gallery": 160, "query": 40}
    expected = {"name": "facescrub", "protocol": "unseen"} | counts
    assert report_of(tmp_path / "unseen")["dataset"].items() >= expected.items()


def test_a_finished_run_is_kept_and_another_configuration_refused(trained, here):
    data = ("--data", shared_path("pickles", "youtube_faces"))
    words = ("train.py", YOUTUBE, *data, "--runs", trained.parent, "--name", trained.name)
    before = (trained / "model.keras").read_bytes()
    line = refusal(here(*words))
    assert "finished with another configuration: bits (was 24, now 48)" in line
    code, printed, _ = here(*words, *SETTINGS)
    assert code == 0 and "already trained" in printed
    # Options that change no result are the same configuration.
    harmless = ("--set", "training.backup_seconds=5", "--set", "training.checkpoint_every=3")
    code, printed, _ = here(*words, *SETTINGS, *harmless)
    assert code == 0 and "already trained" in printed
    line = refusal(here(*words, *SETTINGS, "--set", "training.epochs=3"))
    assert "has 5 epochs already, more than training.epochs 3" in line
    assert (trained / "model.keras").read_bytes() == before


@pytest.mark.full
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_says_with_which_command_it_goes_on_and_does(
    number, code, tmp_path, here
):
    words = (
        "train.py", QUICKSTART, "--runs", tmp_path / "my runs", "--set", "training.epochs=25",
    )  # fmt: skip
    command = [sys.executable, *map(str, words), "--overwrite"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    directory = RunDirectory(tmp_path / "my runs" / "quickstart-48-s0")
    deadline = time.monotonic() + 120
    while len(read_history(directory.history)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    # Rarely, TensorFlow adds lines of its own when the process ends in mid-step.
    (line,) = [line for line in errors.splitlines() if "; continue with: " in line]
    message, _, going_on = line.partition("; continue with: ")
    with np.load(directory.backup) as backup:
        epoch = int(backup["epoch"])
    # The row of the next epoch may have been written already.
    assert len(read_history(directory.history)) in (epoch, epoch + 1)
    assert f"interrupted after {epoch} of 25 epochs, which are kept in " in message
    assert 1 <= epoch < 25
    # The same words, without --overwrite, which would start again.
    assert shlex.split(going_on) == ["python", *map(str, words)]
    assert "not finished" in refusal(here("evaluate.py", directory.path))

    assert "trained 25 epochs" in run(*shlex.split(going_on)[1:])
    assert [row["epoch"] for row in read_history(directory.history)] == list(range(1, 26))


def test_evaluation_refuses_data_of_another_run(trained, here):
    line = refusal(here("evaluate.py", trained, "--data", shared_path("faces", "lfw")))
    assert "train_vec_folder_32_32" in line or "is not the one of this run" in line


def test_print_config_shows_every_default_and_trains_nothing(tmp_path, here):
    code, printed, _ = here("train.py", QUICKSTART, "--print-config", "--runs", tmp_path)
    assert code == 0
    assert "backup_seconds: 30.0" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["train.py"], "Missing argument"),
        (["train.py", "nothing.yaml"], "nothing.yaml: configuration cannot be read"),
        (["train.py", QUICKSTART, "--set", "bits=0"], "bits: input should be greater"),
        (["train.py", QUICKSTART, "--name", "/"], "--name '/': must be the name of one folder"),
        (["train.py", QUICKSTART, "--set", "training.initial_weights=a.keras"], "a.keras: no such"),
        (["train.py", QUICKSTART, "--set", "training.initial_weights=configs"], "not a run"),
        (["train.py", QUICKSTART, "--epochs", "3"], "No such option: --epochs"),
        (["train.py", "configs/ddh/pubfig83.yaml"], "pass --data DIR"),
        (["train.py", "configs/ddh/pubfig83.yaml", "--data", "nowhere"], "does not exist"),
        (["evaluate.py"], "give either a run directory or a checkpoint, or --codes FILE"),
        (["evaluate.py", "configs"], "not a run directory"),
        (["evaluate.py", "config"], "config: does not exist (did you mean 'configs'?)"),
        (["evaluate.py", "README.md"], "needs --config YAML"),
        (["evaluate.py", "README.md", "--config", QUICKSTART], "not a complete"),
        (["evaluate.py", "--codes", "README.md", "--output", "LICENSE"], "LICENSE: is a file"),
        (["evaluate.py", "configs", "--config", QUICKSTART], "omit --config"),
        (["evaluate.py", "--codes", "nothing.npz"], "nothing.npz"),
        (["evaluate.py", "--codes", "README.md", "--data", "b"], "with --config or --data"),
        (["evaluate.py", "--codes", "README.md", "--allow-leaks"], "needs a model"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, expected, tmp_path, here):
    runs = ["--runs", tmp_path] if arguments[0] == "train.py" else []
    assert expected.lower() in refusal(here(*arguments, *runs)).lower()


def test_a_missing_backend_says_how_to_get_it(tmp_path, here, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name)
    )
    line = refusal(here("train.py", QUICKSTART, "--set", "backend=torch", "--runs", tmp_path))
    assert "backend 'torch' is not installed; try: pip install torch" in line
