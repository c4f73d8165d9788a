"""These tests run on the backend that KERAS_BACKEND names, in one process."""

import numpy as np
import pytest

from facehash.learning.backend import choose_backend, start_backend
from tests.helpers.training import looks

start_backend(choose_backend())

from facehash import methods  # noqa: E402 (after the backend)


@pytest.fixture
def rng():
    return np.random.default_rng(20182)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 32, 32, 3)).astype("uint8")


@pytest.fixture
def make_model():
    """Build small untrained models."""

    def make(method, **options):
        settings = {"bits": 8, "identities": ["ann", "bob", "eve"], "pixel_mean": 120.0}
        model = methods.find_method(method).model()
        return model(**(settings | {"pixel_std": 60.0} | options))

    return make


@pytest.fixture
def faces():
    return looks()
