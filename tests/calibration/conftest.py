"""Photos of fakes, as in tests/library."""

from tests.library.conftest import photos  # noqa: F401
