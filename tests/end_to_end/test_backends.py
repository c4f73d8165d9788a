"""Models that move between backends, and training on many devices.

`make test-backends` runs the tests of learning on each backend.
"""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.helpers.other_backend import METHODS


def run(backend, *arguments, **environment):
    """Run `tests.helpers.other_backend` on a backend; skip the test if it is not installed.

    With FACEHASH_REQUIRE_SHARED, as in continuous integration, the test fails instead, except for
    PyTorch: it is several gigabytes, which continuous integration installs only if time allows.
    """
    if importlib.util.find_spec(backend) is None:
        reason = f"{backend} is not installed: pip install -e '.[backends]'"
        if backend != "torch" and os.environ.get("FACEHASH_REQUIRE_SHARED"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.other_backend", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a function that trains on a backend, once, and returns the folder."""
    folders = {}

    def folder_of(backend):
        if backend not in folders:
            folder = tmp_path_factory.mktemp(backend)
            run(backend, "write", folder)
            folders[backend] = folder
        return folders[backend]

    return folder_of


@pytest.mark.full
@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("tensorflow", "jax"),
        ("jax", "tensorflow"),
        ("tensorflow", "torch"),
        ("torch", "tensorflow"),
    ],
)
def test_a_model_gives_the_same_codes_on_another_backend(writer, reader, written, tmp_path):
    folder = written(writer)
    run(reader, "read", folder, tmp_path)
    for method in METHODS:
        with np.load(folder / f"{method}.npz") as one, np.load(tmp_path / f"{method}.npz") as other:
            np.testing.assert_allclose(other["relaxed"], one["relaxed"], atol=1e-4)
            assert len(str(one["training_images"])) > 40
            assert other["training_images"] == one["training_images"]
            bits, others = (
                np.unpackbits(codes["packed"], axis=1, count=12, bitorder="little")
                for codes in (one, other)
            )
            decided = np.abs(one["relaxed"]) > 1e-3
            assert decided.mean() > 0.9
            np.testing.assert_array_equal(bits[decided], others[decided])
            assert 0 < bits.mean() < 1  # and the codes are not all alike
            assert len(np.unique(bits, axis=0)) > 1
    environment = json.loads((folder / "ddh" / "environment.json").read_text())
    assert environment["backend"] == writer
    assert environment["device"].split(":")[0] in ("cpu", "gpu", "cuda")


@pytest.fixture(scope="module")
def on_four_devices(tmp_path_factory):
    """Train on one of four virtual devices, and on all."""
    folder = tmp_path_factory.mktemp("devices")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    return folder, json.loads(run("jax", "devices", folder, **flags).splitlines()[-1])


@pytest.mark.full
def test_several_devices_learn_what_one_does(on_four_devices):
    folder, found = on_four_devices
    assert found["device"] == {"one": "cpu:0", "all": "cpu:0, cpu:1, cpu:2, cpu:3"}
    losses = found["history"]
    assert losses["all"][-1] < losses["all"][0]
    assert losses["all"] == pytest.approx(losses["one"], rel=1e-4)
    with np.load(folder / "relaxed.npz") as relaxed:
        np.testing.assert_allclose(relaxed["all"], relaxed["one"], atol=1e-3)
    with np.load(folder / "centers.npz") as centers:
        one, several = centers["one"], centers["all"]
    # A sixth of the batch each: centers move n / (1 + n) = 6/7 of the way to the mean of their
    # features. With the images of one device only, they would stop well short of that.
    np.testing.assert_allclose(several, one, atol=1e-3)
    assert np.abs(one).mean() > 0.1  # they start at 0.1 at most, evenly around 0


@pytest.mark.full
def test_images_that_devices_cannot_share_are_dropped_or_refused(on_four_devices):
    found = on_four_devices[1]
    assert found["uneven"] == 2
    batch, few = found["errors"]
    assert batch == "training.batch 30 is not divisible by 4 devices; the nearest that is: 32"
    assert few == "4 devices cannot share 3 training images"
