"""Small models and faces, as for the learning tests."""

from tests.learning.conftest import faces, make_model, rng  # noqa: F401
