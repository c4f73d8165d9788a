"""A loopback server of one file that can break off or fail."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `content` at any path.

    Attributes:
        content: The body of every answer.
        cut: Bytes after which the next answer breaks off.
        status: Status code of every answer.
        requests: Number of requests so far.
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.cut, self.status, self.requests = content, None, 200, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 - the name that http.server calls
        server = self.server
        server.requests += 1
        if server.status != 200:
            self.send_error(server.status)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client no longer waits
            self.wfile.write(server.content[: server.cut])
        server.cut = None
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content):
    server = FileServer(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
