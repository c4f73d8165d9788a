"""Libraries of fakes, as tests/library has them."""

from tests.library.conftest import ask, directory, index, photos  # noqa: F401
