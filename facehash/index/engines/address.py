"""Addresses of servers: URLs whose passwords are neither printed nor stored."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from facehash.errors import InputError, did_you_mean

_SECRET = re.compile("pass|pwd|secret|token|api_?key", re.IGNORECASE)
DEFAULT_TIMEOUT = 10.0
"""Seconds that a search or a connection may take."""


def password_variable(name: str) -> str:
    """Return the environment variable with the password of an engine."""
    return f"FACEHASH_ENGINE_{re.sub('[^A-Z0-9]', '_', name.upper())}_PASSWORD"


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class Address:
    """A server and a place on it.

    Attributes:
        scheme: The kind of server, for example ``"postgresql"``.
        host: Name or number of the machine; empty for a local file.
        port: Port, or None for the usual one.
        user: Account, or None.
        password: Password or key, or None.
        path: What follows the host, without the slash: a database, an index, a file.
        options: What follows the question mark.

    Example:
        >>> address = Address.parse("redis://:secret@db.example:6380/0?tables=16")
        >>> str(address)
        'redis://db.example:6380/0?tables=16'
        >>> address.options
        {'tables': '16'}
    """

    scheme: str
    host: str
    port: int | None
    user: str | None
    password: str | None
    path: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            InputError: Not a URL, or one with a password in the wrong place. The message does not
                repeat it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            reason = re.sub(r"'.*'", "", str(error)).strip()
            raise InputError(f"the address of an engine: not a URL ({reason})") from error
        if not parts.scheme or "://" not in url:
            raise InputError(
                "the address of an engine: a URL such as postgresql://HOST/DATABASE is expected"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "@" in parts.path:
            # A password with a slash: what is taken for the host and the path contains parts of it.
            raise InputError(
                "the address of an engine: has an @ after the host; write / in a password as %2F"
            )
        if any(_SECRET.search(name) for name in options):
            raise InputError(
                "the address of an engine: a password belongs before the host, "
                "as in SCHEME://USER:PASSWORD@HOST, or into FACEHASH_ENGINE_PASSWORD"
            )
        return cls(
            parts.scheme.lower(),
            parts.hostname or "",
            port,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            unquote(parts.path.removeprefix("/")),
            options,
        )

    def __str__(self) -> str:
        """Return the URL without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{quote(self.user)}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        path = f"/{quote(self.path)}" if self.path else ""
        place = SplitResult(
            self.scheme, f"{user}{host}{port}", path, urlencode(self.options), fragment=""
        )
        return urlunsplit(place)

    def with_password(self, name: str, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the address with its password or, if it has none, the environment's.

        Args:
            name: The name of the engine; ``FACEHASH_ENGINE_<NAME>_PASSWORD`` wins over
                ``FACEHASH_ENGINE_PASSWORD``.
            environment: Environment variables.
        """
        if self.password is not None:
            return self
        own = environment.get(password_variable(name))
        return replace(self, password=own or environment.get("FACEHASH_ENGINE_PASSWORD"))

    def without_secret(self, text: object) -> str:
        """Return a message of a client library in one line, without the password."""
        line = " ".join(str(text).split())
        for secret in {self.password, quote(self.password or "", safe="")}:
            if secret:
                line = line.replace(secret, "***")
        return line

    def check_options(self, known: Mapping[str, object]) -> None:
        """Refuse an option that this kind of server does not have.

        Raises:
            InputError: The message suggests the nearest option.
        """
        for name in self.options:
            if name not in known:
                raise InputError(f"{self}: unknown option {name!r}{did_you_mean(name, known)}")

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return an option that is a whole number.

        Raises:
            InputError: Not a number, or outside `least` to `most`.
        """
        text = self.options.get(name, str(default))
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise InputError(f"{self}: {name} must be a number from {least} to {most}")
        return int(text)

    @property
    def timeout(self) -> float:
        """Seconds that a search or a connection may take, option ``timeout``.

        Raises:
            InputError: Not a positive number.
        """
        text = self.options.get("timeout", str(DEFAULT_TIMEOUT))
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0
        if not 0 < seconds < 3600:
            raise InputError(f"{self}: timeout must be a number of seconds, at most an hour")
        return seconds
