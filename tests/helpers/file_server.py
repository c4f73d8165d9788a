"""A loopback server of one file that breaks off, ignores Range or fails when told to."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `content` at any path.

    Attributes:
        content: What it has.
        cuts: Bytes after which each of the next answers breaks off.
        ranges: Whether it understands Range.
        errors: Status codes of the next answers.
        asked: The Range header of every request so far.
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.cuts, self.errors = content, [], []
        self.ranges = True
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 - the name that http.server calls
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        first = 0
        if wanted and server.ranges:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[first:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[:cut])
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
