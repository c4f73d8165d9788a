"""The page of a small library, on the fakes."""

import asyncio
import contextlib
import io
import threading
import time

import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from facehash.web.app import create_app
from facehash.web.options import ServeOptions
from facehash.web.server import _listen, make_config
from tests.library import fakes
from tests.library.conftest import ask, directory, index, photos  # noqa: F401


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class Visitor(TestClient):
    """A browser with one session: knows the CSRF token, and follows no redirect by itself."""

    def __init__(self, options, address="http://localhost:8765", token=True):
        self.app_options = options
        super().__init__(
            create_app(options), address, follow_redirects=False, raise_server_exceptions=False
        )
        self._wants_token = token

    def __enter__(self):
        super().__enter__()
        if self._wants_token:
            self.csrf = self.get("/api/v1/session").json()["csrf_token"]
        return self

    def another(self):
        """Return a second browser that talks to the same server."""
        other = TestClient(
            self.app, str(self.base_url), follow_redirects=False, raise_server_exceptions=False
        )
        other.csrf = other.get("/api/v1/session").json()["csrf_token"]
        return other

    def change(self, method, path, **options):
        return self.request(method, path, headers={"X-CSRF-Token": self.csrf}, **options)

    def form(self, address, **fields):
        return self.post(address, data={"csrf": self.csrf, **fields})

    def upload(self, image, name="query.png"):
        return self.change("POST", f"/api/v1/queries?name={name}", content=png(image))


@pytest.fixture
def library(index, directory):  # noqa: F811
    """A library of the photos, named after their folders."""
    index(names="folders")
    return directory


@pytest.fixture
def visit(library):
    """Open the page with these options."""
    opened = []

    def visit(csrf=True, address="http://localhost:8765", **options):
        given = {"library": library, "make_pipeline": fakes.make_pipeline} | options
        visitor = Visitor(ServeOptions(**given), address, token=csrf)
        visitor.__enter__()
        opened.append(visitor)
        return visitor

    yield visit
    for visitor in opened:
        visitor.__exit__(None, None, None)


@pytest.fixture
def page(visit):
    return visit()


@contextlib.contextmanager
def serving(options):
    """Serve a library in a thread; yield its address."""
    with _listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(make_config(options))
        server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
