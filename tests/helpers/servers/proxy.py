"""A loopback proxy that breaks off in the middle of what it passes on."""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """Passes bytes between clients and a server on 127.0.0.1, and counts them.

    Use as a context manager. Both counts are over all connections, also of earlier ones.

    Attributes:
        port: Where clients connect.
        sent: Number of bytes that clients have sent.
        answered: Number of bytes that the server has answered.
        cuts: How often connections were broken off.
    """

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent = self.answered = self.cuts = 0
        self._limits = {"sent": None, "answered": None}
        self._then = None
        self._lock = threading.Lock()
        self._sockets = set()
        self._threads = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def cut_after(self, *, sent=None, answered=None, then=None):
        """Break off all connections, once, after so many more bytes of one direction.

        Args:
            sent: Bytes of clients from now on, the last of which the server still gets.
            answered: Bytes of the server from now on, the last of which the client still gets.
            then: Called right after, for example `Server.kill`.
        """
        with self._lock:
            self._limits = {
                "sent": None if sent is None else self.sent + sent,
                "answered": None if answered is None else self.answered + answered,
            }
            self._then = then

    def greet(self, client):
        """Return the socket to read a new client from, for a proxy that speaks first."""
        return client

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(1)
        self._close_all()
        for thread in self._threads:  # `then` may still be running
            thread.join(10)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            try:
                client = self.greet(client)
            except OSError:  # among them ssl.SSLError: the client does not like the certificate
                for one in (client, server):
                    one.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            for way in ((client, server, "sent"), (server, client, "answered")):
                thread = threading.Thread(target=self._pass_on, args=way, daemon=True)
                thread.start()
                self._threads.append(thread)

    def _pass_on(self, source, target, direction):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    limit, then = self._limits[direction], self._then
                    count = getattr(self, direction)
                    cut = limit is not None and count + len(data) >= limit
                    if cut:
                        data = data[: limit - count]
                        self.cuts += 1
                        self._limits, self._then = {"sent": None, "answered": None}, None
                    setattr(self, direction, count + len(data))
                with contextlib.suppress(OSError):
                    target.sendall(data)
                if cut:
                    if then is not None:
                        then()
                    self._close_all()
                    return
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _close_all(self):
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
