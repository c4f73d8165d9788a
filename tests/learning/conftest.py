"""The learning tests run on whatever backend KERAS_BACKEND names, one process each."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from facehash.learning.backend import choose_backend, start_backend

start_backend(choose_backend())

from ddh.model import DDH  # noqa: E402 (after the backend)
from facehash.dataset import FaceDataset  # noqa: E402

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
    """Save a model, and load it and encode images in a new process; returns what that printed."""

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
def make_model():
    """Make small untrained DDH models."""

    def make(**options) -> DDH:
        settings = {"bits": 12, "identities": ["ann", "bob", "eve"], "pixel_mean": 120.0}
        return DDH(**(settings | {"pixel_std": 60.0} | options))

    return make


@pytest.fixture
def faces(rng):
    """Six people of noisy but distinct looks: 8 images each, 2 of them queries."""
    looks = rng.integers(0, 256, (6, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    images = np.clip(looks.repeat(8, axis=0) + rng.normal(0, 20, (48, 32, 32, 3)), 0, 255)
    rows = np.arange(48)
    return FaceDataset(
        name="looks",
        images=images.astype(np.uint8),
        labels=rows // 8,
        identities=tuple("abcdef"),
        train=rows[rows % 8 < 6],
        gallery=rows[rows % 8 < 6],
        query=rows[rows % 8 >= 6],
        protocol="seen",
    ).check()
