"""These tests run on the backend that KERAS_BACKEND names, in one process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from facehash.learning.backend import choose_backend, start_backend
from tests.helpers.training import looks

start_backend(choose_backend())

from dcbh.model import DCBH  # noqa: E402 (after the backend)
from ddh.model import DDH  # noqa: E402

FRESH_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from facehash import methods
from facehash.learning.backend import choose_backend, start_backend
start_backend(choose_backend())
from facehash.learning.encoding import encode
folder = Path(sys.argv[1])
model = methods.load(folder / "model.keras")
print(methods.method_of(model), *model.identities, model.crop)
np.save(folder / "codes.npy", encode(model, np.load(folder / "images.npy")))
"""


@pytest.fixture
def encode_in_a_fresh_process(tmp_path):
    """Save a model, load it in a new process, and encode; returns codes and printed words."""

    def encode_there(model, images):
        model.save(tmp_path / "model.keras")
        np.save(tmp_path / "images.npy", images)
        command = [sys.executable, "-c", FRESH_PROCESS, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return np.load(tmp_path / "codes.npy"), done.stdout.split()

    return encode_there


@pytest.fixture
def rng():
    return np.random.default_rng(20171)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 32, 32, 3)).astype("uint8")


@pytest.fixture
def make_model():
    """Build small untrained models."""

    def make(method="ddh", **options):
        settings = {"bits": 12, "identities": ["ann", "bob", "eve"], "pixel_mean": 120.0}
        model = {"ddh": DDH, "dcbh": DCBH}[method]
        return model(**(settings | {"pixel_std": 60.0} | options))

    return make


@pytest.fixture
def faces():
    return looks()
