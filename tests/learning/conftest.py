"""These tests run on the backend that KERAS_BACKEND names, in one process."""

from __future__ import annotations

import numpy as np
import pytest

from facehash.learning.backend import choose_backend, start_backend
from tests.helpers.training import looks

start_backend(choose_backend())

from dcbh.model import DCBH  # noqa: E402 (after the backend)
from ddh.model import DDH  # noqa: E402


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
