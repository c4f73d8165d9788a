"""Redis 7, or Valkey, as a package of the distribution installs it."""

from __future__ import annotations

import shutil

from tests.helpers.servers.base import Server, free_port, require
from tests.helpers.servers.certificates import Certificates


class RedisServer(Server):
    """Accepts nobody without a password.

    Attributes:
        settings: Of the configuration file, for the next start.
        certificates: Those for TLS on `tls_port`, or None without the openssl command.
    """

    name = "redis"
    password = "pass-w0rd with/special"

    def __init__(self, **settings):
        self._program = shutil.which("redis-server") or shutil.which("valkey-server")
        if self._program is None:
            require(self.name, "redis-server is not installed")
        super().__init__()
        self.settings = {
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "3600 1",
            # So that a test can recognise rows in a snapshot.
            "rdbcompression": "no",
            **settings,
        }
        self.certificates, self.tls_port = None, free_port()

    @property
    def url(self):
        secret = self.password.replace("/", "%2F").replace(" ", "%20")
        return f"redis://:{secret}@127.0.0.1:{self.port}"

    def prepare(self):
        if shutil.which("openssl") is None:
            return
        self.certificates = Certificates(self.folder / "tls")
        self.certificate = self.certificates.for_host("127.0.0.1")
        self.give_to_account(self.folder / "tls")

    def command(self):
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.data_directory),
            "requirepass": self.password,
            "daemonize": "no",
            **self.settings,
        }
        if self.certificates is not None:
            certificate, key = self.certificate
            settings |= {
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(certificate),
                "tls-key-file": str(key),
                "tls-auth-clients": "no",
            }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [self._program, *options]

    def is_ready(self):
        with self.client() as client:
            return client.ping()

    def client(self):
        """Connect as the account that may do everything."""
        import redis

        return redis.Redis(
            host="127.0.0.1", port=self.port, password=self.password, socket_timeout=10, protocol=2
        )
