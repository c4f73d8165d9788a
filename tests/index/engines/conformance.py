"""The suite that every engine passes against a real server.

A file `test_<engine>.py` derives a class from `Conformance` and gives it a fixture `engine` that
returns an `engine.Engine`:

    pytestmark = pytest.mark.engines

    class TestRedis(Conformance):
        @pytest.fixture
        def engine(self, redis_server):
            return RedisEngine(redis_server)

The server's class and its fixture are in `tests/helpers/servers`. What only one engine does, such
as a full disk, is tested in its own file.
"""

from __future__ import annotations

from tests.index.engines.content import Content
from tests.index.engines.crashes import Crashes
from tests.index.engines.faults import Faults


class Conformance(Content, Crashes, Faults):
    """Contents, crashes and faults."""
