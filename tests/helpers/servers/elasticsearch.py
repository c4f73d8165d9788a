"""Elasticsearch, from the zip of a Maven coordinate that has a server with few modules."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import zipfile
from pathlib import Path

from tests.helpers.servers.base import Server, free_port, require

VERSION = "8.19.0"
COORDINATE = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}"
ACCOUNT = "facehash"
LIMITED_ACCOUNT = "limited"
"""May only look at the cluster and do everything with indices whose names begin with faces-."""

_JVM_OPTIONS = """\
-Xms512m
-Xmx512m
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:+ExitOnOutOfMemoryError
-Djava.io.tmpdir=${ES_TMPDIR}
"""


def _zip():
    """Return the path of the zip, downloaded by Maven if it is not there, or None."""
    group, name, version = COORDINATE.split(":")
    folder = Path.home() / ".m2" / "repository" / group.replace(".", "/") / name / version
    path = folder / f"{name}-{version}.zip"
    if not path.exists() and shutil.which("mvn"):
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={COORDINATE}:zip",
             "-Dtransitive=false"],
            capture_output=True,
        )  # fmt: skip
    return path if path.exists() else None


def unpacked():
    """Return the folder of an unpacked Elasticsearch, or None if there is none to be had.

    FACEHASH_ELASTICSEARCH may name one.
    """
    if folder := os.environ.get("FACEHASH_ELASTICSEARCH"):
        return Path(folder)
    cache = Path(tempfile.gettempdir()) / f"facehash-elasticsearch-{os.getuid()}"
    folder = cache / f"elasticsearch-{VERSION}"
    if folder.exists():
        return folder
    if (path := _zip()) is None:
        return None
    cache.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache) as parts,
        zipfile.ZipFile(path) as archive,
    ):
        archive.extractall(parts)
        made = Path(parts) / folder.name
        for program in (made / "bin").iterdir():
            program.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:  # another session was faster
            if not folder.exists():
                raise
    cache.chmod(0o755)
    return folder


class ElasticsearchServer(Server):
    """One node with 512 MB, passwords and no TLS.

    Attributes:
        tls: Paths of a certificate and of its key, for HTTPS from the next start on.
    """

    name = "elasticsearch"
    start_timeout = 240.0
    password = "pass-w0rd with/special"

    def __init__(self):
        if shutil.which("java") is None:
            require(self.name, "Java is not installed")
        self._program = unpacked()
        if self._program is None:
            require(self.name, f"{COORDINATE} is not in the local Maven repository")
        super().__init__()
        self._transport_port = free_port()
        self.tls = None

    @property
    def url(self):
        return self.url_of(ACCOUNT, self.password)

    def url_of(self, account, password):
        secret = f":{password.replace('/', '%2F').replace(' ', '%20')}" if password else ""
        return f"elasticsearch://{account}{secret}@127.0.0.1:{self.port}"

    def environment(self):
        java = Path(shutil.which("java")).resolve().parent.parent
        return super().environment() | {
            "ES_JAVA_HOME": str(java),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }

    def prepare(self):
        config = self.folder / "config"
        for folder in (config, self.folder / "tmp", self.folder / "logs"):
            folder.mkdir()
        (config / "jvm.options").write_text(_JVM_OPTIONS)
        (config / "log4j2.properties").write_text(
            "appender.console.type = Console\nappender.console.name = console\n"
            "appender.console.layout.type = PatternLayout\n"
            "appender.console.layout.pattern = [%d] %p %c{1.}: %m%n\n"
            "rootLogger.level = warn\nrootLogger.appenderRef.console.ref = console\n"
        )
        (config / "users").write_text(
            "".join(f"{name}:{_hashed(self.password)}\n" for name in (ACCOUNT, LIMITED_ACCOUNT))
        )
        (config / "users_roles").write_text(f"superuser:{ACCOUNT}\nfaces:{LIMITED_ACCOUNT}\n")
        (config / "roles.yml").write_text(
            'faces: {cluster: [monitor], indices: [{names: ["faces-*"], privileges: [all]}]}\n'
        )
        self._configure()
        self.give_to_account(self.folder)

    def _configure(self):
        settings = {
            "node.name": "tests",
            "path.data": self.data_directory,
            "path.logs": self.folder / "logs",
            "http.host": "127.0.0.1",
            "transport.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self._transport_port,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "xpack.security.enabled": "true",
            "xpack.security.autoconfiguration.enabled": "false",
            "xpack.security.authc.password_hashing.algorithm": "pbkdf2_1000",
            "xpack.security.transport.ssl.enabled": "false",
            "xpack.security.http.ssl.enabled": "false",
        }
        (self.folder / "config" / "elasticsearch.yml").write_text(
            "".join(f"{name}: {value}\n" for name, value in settings.items())
        )

    def command(self):
        return ["bash", self._program / "bin" / "elasticsearch"]

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            pass  # the client would log every failure
        client = self.client(request_timeout=5)
        try:
            health = client.cluster.health(wait_for_status="yellow", timeout="4s")
            return not health["timed_out"]
        finally:
            client.close()

    def client(self, **options):
        """Connect as the account that may do everything."""
        import elasticsearch

        return elasticsearch.Elasticsearch(
            f"http://127.0.0.1:{self.port}",
            basic_auth=(ACCOUNT, self.password),
            **{"max_retries": 0, "request_timeout": 60, **options},
        )


def _hashed(password):
    """Return the hash of a password for the file `users`."""
    salt = os.urandom(32)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1000, 32)
    return "{PBKDF2}1000$" + "$".join(base64.b64encode(part).decode() for part in (salt, key))
