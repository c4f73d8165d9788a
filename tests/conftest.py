"""What the tests share: the one way to the data that is not in this repository."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, so that what fails is a change; make fuzz draws others.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
if "FACEHASH_FUZZ_SECONDS" not in os.environ:
    settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent

# Under nohup or in a background job SIGINT is ignored, and child processes inherit that. The tests
# that interrupt a child process need the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run files with slow tests first, so that at the end no process is left alone with one."""
    slow = {item.path for item in items if item.get_closest_marker("full")}
    items.sort(key=lambda item: item.path not in slow)


def shared_path(*parts: str) -> Path:
    """Return a path under FACEHASH_SHARED (default ../shared), or skip the test with a reason.

    Where FACEHASH_REQUIRE_SHARED is set, as in continuous integration, a missing path fails
    instead: there these tests must run.
    """
    root = Path(os.environ.get("FACEHASH_SHARED", ROOT.parent / "shared"))
    path = root.joinpath(*parts)
    if not path.exists():
        reason = f"shared test data not found: {'/'.join(parts)} (set FACEHASH_SHARED)"
        if os.environ.get("FACEHASH_REQUIRE_SHARED"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def shared():
    return shared_path
