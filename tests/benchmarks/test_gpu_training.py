"""The GPU benchmark, shown to work without a GPU at a tiny size."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.training.gpu_training import judge
from tests.conftest import ROOT

TINY = "--images 16 --people 4 --batch 8 --epochs 2 --matrix-side 256".split()


def run_benchmark(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_training", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.full  # two processes, one of which starts a backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_turn_reports_the_speed_of_each_way_without_tensorflow(tmp_path, backend):
    pytest.importorskip(backend)
    output = tmp_path / "result.json"
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not installed')")
    chosen = f"--backend {backend} --method dcbh --precision tf32".split()
    environment = {
        "OMP_NUM_THREADS": "1",  # at this size more only wait for each other
        "PYTHONPATH": str(tmp_path),
    }
    done = run_benchmark("--device", "cpu", *TINY, *chosen, "--output", str(output), **environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    [turn] = result["turns"]
    assert (result["device"], turn["backend"]) == ("cpu", backend)
    assert set(turn["ways"]) == {"ours, augmented", "ours", "bare fit"}
    for found in turn["ways"].values():
        [seconds] = found["epoch_seconds"]
        assert found["images_a_second"] == pytest.approx(16 / seconds, rel=0.05)
        # 1.71 GFLOP a training image, a little less for 4 people than for 530.
        assert found["gflops"] / found["images_a_second"] == pytest.approx(1.71, rel=0.05)
        assert all(0 < loss < 100 for loss in found["loss_of_each_epoch"])
    assert set(result["bars"].values()) == {"not measured"}  # those are of bfloat16


def test_what_has_not_begun_in_time_is_not_measured():
    done = run_benchmark("--device", "cpu", *TINY, "--backend", "jax", "--seconds", "0")
    assert done.returncode == 3 and done.stdout.count("out of time") == 2


def test_bars_are_those_of_augmented_training():
    row = {"backend": "jax", "data": "random", "method": "ddh", "precision": "bfloat16"}
    ways = {"ours, augmented": {"images_a_second": 6e5}, "ours": {"images_a_second": 1.0}}
    assert list(judge([row | {"ways": ways}]).values()) == ["not measured", "met", "not measured"]


def test_no_gpu_and_wrong_data_are_reported_before_anything_is_measured(tmp_path):
    nowhere = ("--device", "cpu", "--data", str(tmp_path / "nowhere"))
    for words, message in (((), "finds no GPU; --device cpu"), (nowhere, "nowhere does not exist")):
        done = run_benchmark(*words, JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert message in line
