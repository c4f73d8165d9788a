"""train.py and evaluate.py as a user runs them: from a YAML file to a report, in new processes."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from facehash.codes import bits_from_packed
from facehash.retrieval.codes_file import read_codes
from facehash.runs.directory import RunDirectory
from facehash.runs.files import read_history
from tests.conftest import ROOT, shared_path

YOUTUBE = "configs/ddh/youtube_faces.yaml"
REPORT_KEYS = {
    "schema", "method", "bits", "seed", "backend", "dataset", "metrics", "metrics_author",
    "curves", "code", "seconds",
}  # fmt: skip
FIGURES = {"precision_recall.png", "precision_at.png", "distances.png", "retrieval.png"}


def run(script, *arguments, **environment):
    """Run a command of the checkout in a new process."""
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def complaint(done):
    """Return the one line of a command that refused its input."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cache):
    """A run trained on the fixture in the layout of the authors' YouTube Faces pickles."""
    runs = tmp_path_factory.mktemp("runs")
    done = run(
        "train.py", YOUTUBE, "--data", shared_path("pickles", "youtube_faces"), "--runs", runs,
        "--set", "training.epochs=12", "--set", "training.batch=16",
        "--set", "training.learning_rate=3e-3", "--set", "bits=24",
        FACEHASH_CACHE=cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "score it with: python evaluate.py" in done.stdout
    return runs / "youtube_faces-24-s0"


@pytest.fixture(scope="session")
def scored(trained, cache):
    """The same run, scored."""
    done = run("evaluate.py", trained, FACEHASH_CACHE=cache)
    assert done.returncode == 0, done.stderr
    return trained, done.stdout


def test_a_run_directory_holds_all_that_the_contract_names(scored):
    path, _ = scored
    names = {"config.yaml", "environment.json", "split.npz", "history.csv", "model.keras"}
    names |= {"codes.npz", "report.json", "figures"}
    assert {entry.name for entry in path.iterdir()} == names
    assert {entry.name for entry in (path / "figures").iterdir()} == FIGURES
    for figure in (path / "figures").iterdir():
        with Image.open(figure) as image:
            assert image.width > 600
    environment = json.loads((path / "environment.json").read_text())
    assert environment["backend"] == "tensorflow"
    assert environment["seed"] == 0
    assert len(read_history(path / "history.csv")) == 12


def test_the_report_follows_the_schema_and_beats_chance(scored):
    path, printed = scored
    report = json.loads((path / "report.json").read_text())
    assert set(report) == REPORT_KEYS
    assert (report["schema"], report["method"], report["bits"], report["seed"]) == (1, "ddh", 24, 0)
    assert report["dataset"] == {
        "name": "youtube_faces",
        "protocol": "seen",
        "identities": 40,
        "train": 800,
        "gallery": 800,
        "query": 200,
    }
    metrics = report["metrics"]
    assert metrics["mAP_lower"] <= metrics["mAP"] <= metrics["mAP_upper"]
    assert metrics["mAP"] > 3 / 40
    assert f"{metrics['mAP']:.4f}" in printed
    assert f"{report['metrics_author']['mAP']:.4f}*" in printed
    assert report["seconds"]["encode"] > 0
    code = report["code"]
    assert code["dead_bits"] == 0
    assert 0 < code["ones_lowest"] < 0.5 < code["ones_highest"] < 1
    assert "0 of 24 bits are constant" in printed


def test_the_codes_file_scores_the_same_as_the_run(scored, tmp_path):
    path, _ = scored
    report = json.loads((path / "report.json").read_text())
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
        done = run("evaluate.py", "--codes", tmp_path / f"codes.{suffix}")
        assert done.returncode == 0, done.stderr
        foreign = json.loads((tmp_path / "codes-report" / "report.json").read_text())
        assert foreign["metrics"] == pytest.approx(report["metrics"], rel=1e-12)
        assert foreign["metrics_author"] == pytest.approx(report["metrics_author"], rel=1e-12)
        assert foreign["method"] is foreign["seed"] is foreign["backend"] is None
        assert foreign["dataset"]["name"] is foreign["dataset"]["protocol"] is None
    figures = {entry.name for entry in (tmp_path / "codes-report" / "figures").iterdir()}
    assert figures == FIGURES - {"retrieval.png"}


def test_a_checkpoint_with_a_configuration_scores_like_its_run(scored, tmp_path, cache):
    path, _ = scored
    done = run(
        "evaluate.py", path / "model.keras", "--config", YOUTUBE,
        "--data", shared_path("pickles", "youtube_faces"), "--output", tmp_path / "out",
        FACEHASH_CACHE=cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bare, report = (json.loads((p / "report.json").read_text()) for p in (tmp_path / "out", path))
    assert bare["metrics"] == report["metrics"]
    assert bare["dataset"] == report["dataset"]
    assert bare["seed"] is None


def test_people_held_out_of_training_can_be_searched_for(tmp_path, cache):
    done = run(
        "train.py", "configs/ddh/facescrub.yaml", "--data", shared_path("pickles", "facescrub"),
        "--runs", tmp_path, "--name", "strangers", "--set", "dataset.protocol=unseen",
        "--set", "training.epochs=2", "--set", "bits=12",
        FACEHASH_CACHE=cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run("evaluate.py", tmp_path / "strangers", FACEHASH_CACHE=cache)
    assert done.returncode == 0, done.stderr
    faces = json.loads((tmp_path / "strangers" / "report.json").read_text())["dataset"]
    assert faces == {
        "name": "facescrub",
        "protocol": "unseen",
        "identities": 8,
        "train": 640,
        "gallery": 160,
        "query": 40,
    }


def test_a_finished_run_is_kept_and_another_configuration_refused(trained, cache):
    arguments = ["train.py", YOUTUBE, "--data", shared_path("pickles", "youtube_faces")]
    arguments += ["--runs", trained.parent, "--name", trained.name]
    before = (trained / "model.keras").read_bytes()
    line = complaint(run(*arguments, FACEHASH_CACHE=cache))
    assert "finished with another configuration: bits (was 24, now 48)" in line
    options = ["--set", "training.epochs=12", "--set", "training.batch=16"]
    options += ["--set", "training.learning_rate=3e-3", "--set", "bits=24"]
    done = run(*arguments, *options, FACEHASH_CACHE=cache)
    assert (done.returncode, done.stderr) == (0, "")
    assert "already trained" in done.stdout
    assert (trained / "model.keras").read_bytes() == before


def test_ctrl_c_exits_130_saying_how_to_resume_and_the_same_command_does(tmp_path):
    command = [
        "train.py", "configs/quickstart.yaml", "--runs", tmp_path, "--set", "training.epochs=60",
        "--set", "training.backup_seconds=0",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    directory = RunDirectory(tmp_path / "quickstart-48-s0")
    deadline = time.monotonic() + 120
    while not directory.backup.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "run the same command to resume" in errors.splitlines()[-1]
    done_before = len(read_history(directory.history))
    assert 1 <= done_before < 60
    assert "not finished" in complaint(run("evaluate.py", directory.path))

    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "trained 60 epochs" in done.stdout
    assert len(read_history(directory.history)) == 60


def test_facehash_data_names_a_parent_folder(trained, cache, tmp_path):
    done = run(
        "evaluate.py", trained, "--output", tmp_path,
        FACEHASH_CACHE=cache, FACEHASH_DATA=str(shared_path("pickles")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_evaluation_refuses_data_that_is_not_the_runs(trained, cache):
    line = complaint(
        run("evaluate.py", trained, "--data", shared_path("faces", "lfw"), FACEHASH_CACHE=cache)
    )
    assert "train_vec_folder_32_32" in line or "is not the one of this run" in line


def test_print_config_shows_every_default_and_trains_nothing(tmp_path):
    done = run("train.py", "configs/quickstart.yaml", "--print-config", "--runs", tmp_path)
    assert done.returncode == 0
    assert "backup_seconds: 30.0" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_shows_an_example(script):
    done = run(script, "--help")
    assert done.returncode == 0
    assert f"Example: python {script}" in done.stdout


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["train.py"], "Missing argument"),
        (["train.py", "nothing.yaml"], "nothing.yaml: configuration cannot be read"),
        (
            ["train.py", "configs/quickstart.yaml", "--set", "bits=0"],
            "bits: input should be greater",
        ),
        (
            ["train.py", "configs/quickstart.yaml", "--set", "backend=theano"],
            "backend: input should",
        ),
        (["train.py", "configs/quickstart.yaml", "--epochs", "3"], "No such option: --epochs"),
        (["train.py", "configs/ddh/pubfig83.yaml"], "pass --data DIR"),
        (["train.py", "configs/ddh/pubfig83.yaml", "--data", "nowhere"], "does not exist"),
        (["evaluate.py"], "give either a run directory or a checkpoint, or --codes FILE"),
        (["evaluate.py", "configs"], "not a run directory"),
        (["evaluate.py", "config"], "config: does not exist (did you mean 'configs'?)"),
        (["evaluate.py", "x.keras"], "x.keras: does not exist"),
        (["evaluate.py", "README.md"], "needs --config YAML"),
        (["evaluate.py", "README.md", "--config", "configs/quickstart.yaml"], "not a complete"),
        (["evaluate.py", "--codes", "README.md", "--output", "LICENSE"], "LICENSE: is a file"),
        (
            ["train.py", "configs/quickstart.yaml", "--set", "training.jit=maybe"],
            "training.jit: input",
        ),
        (["evaluate.py", "configs", "--config", "configs/quickstart.yaml"], "omit --config"),
        (["evaluate.py", "--codes", "nothing.npz"], "nothing.npz"),
        (["evaluate.py", "--codes", "README.md"], "README.md"),
        (["evaluate.py", "--codes", "README.md", "--data", "b"], "with --config or --data"),
        (["evaluate.py", "a", "--codes", "b.npz"], "give either"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, expected, tmp_path):
    runs = ["--runs", tmp_path] if arguments[0] == "train.py" else []
    line = complaint(run(*arguments, *runs, FACEHASH_DATA=""))
    assert expected.lower() in line.lower()


def test_a_missing_backend_says_how_to_get_it(tmp_path):
    script = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a);"
        "sys.argv = ['train.py', 'configs/quickstart.yaml', '--set', 'backend=torch'];"
        f"sys.argv += ['--runs', {str(tmp_path)!r}];"
        "import runpy; runpy.run_path('train.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "backend 'torch' is not installed; try: pip install torch" in complaint(done)
