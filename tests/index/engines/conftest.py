from __future__ import annotations

import contextlib

import pytest

from facehash.errors import InputError
from tests.helpers.servers.fixtures import *  # noqa: F403
from tests.index.engines.engine import Place


@pytest.fixture
def place(engine):
    """A place of its own on the server for each test; what is there afterwards is deleted."""
    engine.server.ensure_running()
    place = Place(engine)
    yield place
    engine.server.ensure_running()
    with contextlib.suppress(InputError):
        place.drop()
    place.close()
