"""The GPU benchmark, shown to work without a GPU at a tiny size."""

import json
import os
import subprocess
import sys

import pytest

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
def test_a_turn_reports_its_speed(tmp_path):
    output = tmp_path / "result.json"
    chosen = "--backend jax --method dcbh --precision tf32".split()
    one_thread = {"OMP_NUM_THREADS": "1"}  # at this size more only wait for each other
    done = run_benchmark("--device", "cpu", *TINY, *chosen, "--output", str(output), **one_thread)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    assert (result["device"], result["backend"]) == ("cpu", "jax")
    [turn] = result["turns"]
    [seconds] = turn["epoch_seconds"]
    assert turn["images_a_second"] == pytest.approx(16 / seconds, rel=0.05)
    # 1.71 GFLOP a training image, a little less for 4 people than for 530.
    assert turn["gflops"] / turn["images_a_second"] == pytest.approx(1.71, rel=0.05)
    assert all(0 < loss < 100 for loss in turn["loss_of_each_epoch"])


def test_no_gpu_and_wrong_data_are_reported_before_anything_is_measured(tmp_path):
    nowhere = ("--device", "cpu", "--data", str(tmp_path / "nowhere"))
    for words, message in (((), "finds no GPU; --device cpu"), (nowhere, "nowhere does not exist")):
        done = run_benchmark(*words, JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert message in line
