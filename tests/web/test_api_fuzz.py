"""Whatever the description of the API allows, and more, ends without a bug of the server."""

import os
import threading
import time

import pytest

from facehash.web.app import create_app
from facehash.web.options import ServeOptions
from tests.library import fakes

pytestmark = [pytest.mark.web]

SECONDS = float(os.environ.get("FACEHASH_API_FUZZ_SECONDS", "60"))
TOKEN = "a token of the test"

try:
    import hypothesis
    import schemathesis
    from schemathesis.checks import not_a_server_error
except ImportError:
    schemathesis = None


@pytest.mark.timeout(3 * SECONDS + 300)
def test_no_request_makes_the_server_fail(library, monkeypatch):
    if schemathesis is None:
        if os.environ.get("FACEHASH_REQUIRE_WEB"):
            pytest.fail("schemathesis is needed, of the extra web-test")
        pytest.skip("schemathesis is needed, of the extra web-test")
    # Index runs over any folder of this machine are tested elsewhere.
    monkeypatch.setattr("facehash.web.indexing.IndexRuns.start", lambda *_, **__: None)
    options = ServeOptions(
        library, token=TOKEN, make_pipeline=fakes.make_pipeline, requests_per_second=0,
        uploads_per_second=0,
    )  # fmt: skip
    app = create_app(options)
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "localhost"}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) > 25
    ends = time.monotonic() + SECONDS
    statuses, lock = set(), threading.Lock()
    rounds = 0
    while rounds == 0 or time.monotonic() < ends:
        for operation in operations:

            @hypothesis.seed(rounds)
            @hypothesis.settings(
                max_examples=5, deadline=None, database=None, derandomize=False,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )  # fmt: skip
            @hypothesis.given(case=operation.as_strategy())
            def send(case):
                answer = case.call(headers=headers)
                case.validate_response(answer, checks=[not_a_server_error])
                with lock:
                    statuses.add(answer.status_code)

            send()
            if rounds and time.monotonic() >= ends:
                break
        rounds += 1
    assert {200, 404} <= statuses and max(statuses) < 500
