"""Libraries of fakes, as in tests/library."""

from tests.library.conftest import ask, directory, head, index, photos  # noqa: F401
