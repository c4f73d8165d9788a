"""How a library is served."""

import hmac
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

from facehash.errors import InputError
from facehash.index.engines.address import is_loopback
from facehash.pipeline import MakePipeline, default_pipeline

_SHORTEST_SECRET = 8
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServeOptions:
    """How a library is served.

    Attributes:
        library: The library.
        host: Address to listen on.
        password: Asked for on the page, or None.
        token: Accepted on the page and as ``Authorization: Bearer``, or None.
        host_names: Names under which the page may be opened, besides those of this machine.
        proxies: Addresses or networks of proxies with HTTPS in front of the server, which are
            believed about the visitors.
        photos: Folders that can be indexed from the page, besides those indexed before.
        show_paths: Whether answers contain the paths of photos; otherwise only file names.
        engine: Name of the engine that proposes faces, or None.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.
        max_upload_bytes: Largest upload.
        query_seconds: How long an uploaded picture can be searched for again.
        requests_per_second: Sustained number of requests of one client.
        uploads_per_second: Sustained number of uploads of one client.
    """

    library: Path
    host: str = "127.0.0.1"
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host_names: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    photos: tuple[Path, ...] = ()
    show_paths: bool = False
    engine: str | None = None
    make_pipeline: MakePipeline = default_pipeline
    max_upload_bytes: int = 50_000_000
    query_seconds: float = 1800.0
    requests_per_second: float = 100.0
    uploads_per_second: float = 5.0

    def __post_init__(self) -> None:
        """Refuse to serve other machines without a password or token, and invalid proxies."""
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise InputError(
                    f"--proxy {proxy}: not an IP address or network, such as 127.0.0.1 or "
                    "10.0.0.0/8"
                ) from error
        if self.proxies and not self.needs_login:
            raise InputError(
                f"--proxy {self.proxies[0]}: others could open the page through the proxy; protect "
                "it with --password-file FILE, or with --token-file FILE"
            )
        if not is_loopback(self.host) and not self.needs_login:
            raise InputError(
                f"--host {self.host}: other machines could open the page; protect it with "
                "--password-file FILE, or with --token-file FILE"
            )

    @property
    def needs_login(self) -> bool:
        """Whether a visitor has to give a password or token."""
        return self.password is not None or self.token is not None

    def is_secret(self, given: str) -> bool:
        """Return whether a text is the password or the token, in a time that does not tell how."""
        known = [one for one in (self.password, self.token) if one is not None]
        return any([hmac.compare_digest(given.encode(), one.encode()) for one in known])

    def is_token(self, given: str) -> bool:
        """Return whether a text is the token."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def accepts_host(self, header: str) -> bool:
        """Return whether a ``Host`` header names this server.

        A page of another site whose name suddenly means this machine (DNS rebinding) sends that
        name, so only known names are accepted, and addresses, which no site can use as its name.
        """
        name = header.rsplit("]", 1)[0].lstrip("[") if header.startswith("[") else header
        if not header.startswith("["):
            name = header.partition(":")[0]
        name = name.rstrip(".").lower()
        if name in _LOCAL_NAMES or name in {one.lower() for one in self.host_names}:
            return True
        if is_loopback(self.host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {self.host.lower(), socket.gethostname().lower()}
        return True


def read_secret(path: Path, option: str) -> str:
    """Return the password or token in the first line of a file.

    Raises:
        InputError: Other users can read the file, or the line has fewer than 8 characters.
        OSError: The file cannot be read.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise InputError(f"{option} {path}: other users can read it; run: chmod 600 {path}")
        secret = file.readline(4096).strip()
    if len(secret) < _SHORTEST_SECRET:
        raise InputError(
            f"{option} {path}: its first line must have at least {_SHORTEST_SECRET} characters"
        )
    return secret
