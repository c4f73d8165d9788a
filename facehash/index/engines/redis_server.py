"""What is the same for every use of a Redis or Valkey server: connection, errors, its files."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from facehash.index.engines.address import Address
from facehash.index.engines.base import CannotEraseError, EngineError, UnreachableEngineError

_OLDEST = (6, 0)
_NO_ANSWER = (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse)
_POLL_SECONDS = 0.05
_NOT_NOW = ("BUSY", "MASTERDOWN", "LOADING")
_REFUSED = ("NOAUTH", "WRONGPASS", "invalid password", "invalid username-password", "AUTH ")


class RedisServer:
    """A connection that raises the errors of the seam.

    Args:
        address: The server, with its password. The path is the number of a database.

    Attributes:
        client: The redis-py client, which returns bytes.

    Raises:
        EngineError: The path is not a number.
    """

    def __init__(self, address: Address) -> None:
        self._address, path = address, address.path or "0"
        if not path.isascii() or not path.isdecimal():
            raise EngineError(f"{address}: the number of a database is expected, such as /0")
        self._has_flags = False
        secure: dict[str, Any] = {}
        if address.scheme == "rediss":
            secure = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
            secure |= {name: value for name, value in address.options.items() if "ssl_" in name}
        self.client: Any = redis.Redis(
            host=address.host or "localhost",
            port=address.port or 6379,
            db=int(path),
            username=address.user,
            password=address.password,
            socket_timeout=address.timeout,
            socket_connect_timeout=address.timeout,
            # A change that may have been made is not repeated blindly.
            retry=None,
            protocol=2,
            **secure,
        )

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Raise the errors of the client as those of the seam, in one line, without a password.

        Raises:
            UnreachableEngineError: No usable answer.
            EngineError: Any other failure.
        """
        try:
            yield
        except redis.RedisError as error:
            refused = isinstance(error, redis.AuthenticationError) or any(
                word in str(error) for word in _REFUSED
            )
            if refused:
                account = f" for the account {self._address.user}" if self._address.user else ""
                raise UnreachableEngineError(
                    f"{self._address}: the server refuses the password{account}; it is taken from "
                    f"the address or from FACEHASH_ENGINE_PASSWORD ({self._text(error)})"
                ) from error
            if isinstance(error, _NO_ANSWER) or str(error).startswith(_NOT_NOW):
                raise UnreachableEngineError(self._line(error)) from error
            raise EngineError(self._line(error)) from error

    def check(self) -> None:
        """Refuse a server that is too old or that deletes faces when its memory is full.

        An account that may not see the settings is trusted.

        Raises:
            UnreachableEngineError: No usable answer.
            EngineError: Such a server.
        """
        with self.talking():
            self.client.ping()
        version = self._info("server").get("redis_version", "")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if numbers >= (7, 0):
            self._has_flags = True
        if numbers and numbers < _OLDEST:
            raise EngineError(f"{self._address}: Redis {version} is too old, 6.0 is the oldest")
        memory = self._info("memory")
        policy = str(memory.get("maxmemory_policy", ""))
        if memory.get("maxmemory") and policy.startswith("allkeys"):
            raise EngineError(
                f"{self._address}: with maxmemory-policy {policy} the server deletes faces when "
                "its memory is full; noeviction or a volatile policy is needed"
            )

    def run(self, script: str, names: list[str], values: list[Any], when_full: bool = False) -> Any:
        """Run a script; one that is not for a full memory does not begin in it.

        Before Redis 7.0 no script can write while memory is full.
        """
        if self._has_flags:
            script = ("#!lua flags=allow-oom\n" if when_full else "#!lua\n") + script
        return self.client.eval(script, len(names), *names, *values)

    def version(self) -> str:
        """Return such as ``"Redis 7.0.15"``; without the version if the account may not see it."""
        info = self._info("server")
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info['redis_version']}" if "redis_version" in info else "Redis"

    def memory(self, names: Iterable[str], samples: int = 1000) -> int:
        """Return the bytes of some keys, as MEMORY USAGE estimates them from a few members."""
        with self.client.pipeline(transaction=False) as calls:
            for name in names:
                calls.memory_usage(name, samples=samples)
            return sum(size or 0 for size in calls.execute())

    def rewrite_files(self) -> str:
        """Let the server write its files anew (AOF, RDB), and wait until it has done so.

        A server that keeps no files writes none.

        Returns:
            A sentence about replicas, if there are any.

        Raises:
            CannotEraseError: The account may not do that or see whether there are files.
        """
        with self.talking():
            try:
                info = self.client.info("persistence")
                # A snapshot is there if one is made by rule, was made, or was read at the start.
                snapshot = self.client.config_get("save").get("save") or info.get("rdb_saves")
                if info["aof_enabled"]:
                    self._write(self.client.bgrewriteaof, "aof_last_bgrewrite_status")
                else:
                    snapshot = snapshot or info.get("rdb_last_load_keys_loaded")
                if snapshot:
                    self._write(self.client.bgsave, "rdb_last_bgsave_status")
                replicas = self.client.info("replication").get("connected_slaves", 0)
            except redis.ResponseError as error:
                unknown = "unknown command" in str(error).lower()
                if unknown or isinstance(error, redis.exceptions.NoPermissionError):
                    raise CannotEraseError(self._line(error)) from error
                raise
        if not replicas:
            return ""
        whose = "1 replica keeps" if replicas == 1 else f"{replicas} replicas keep"
        return f"{whose} files of their own until BGREWRITEAOF and BGSAVE have run there"

    def _write(self, begin: Callable[[], Any], status: str) -> None:
        """Begin to write a file, not before earlier writing has ended, and wait for its end."""
        self._idle()
        while True:
            try:
                begin()
                break
            except redis.ResponseError as error:
                if "progress" not in str(error).lower():
                    raise
                self._idle()
        if self._idle().get(status) != "ok":
            raise EngineError(
                f"{self._address}: the server could not write its file anew ({status}); "
                "its log says why"
            )

    def _idle(self) -> dict[str, Any]:
        """Wait until no file is being written, and return the state."""
        while True:
            info: dict[str, Any] = self.client.info("persistence")
            busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
            if not any(info.get(name) for name in busy):
                return info
            time.sleep(_POLL_SECONDS)

    def _info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO, empty if the account may not see it."""
        with self.talking():
            try:
                return dict(self.client.info(section))
            except redis.exceptions.NoPermissionError:
                return {}

    def _line(self, error: object) -> str:
        return f"{self._address}: {self._text(error)}"

    def _text(self, error: object) -> str:
        cause = getattr(error, "__context__", None)
        if "handshake" in str(cause):
            return f"no TLS connection: {self._address.without_secret(cause)}"
        # Client 8 ends its messages with a kind of error, such as "network:TimeoutError".
        return re.sub(r"( network:\w+|\.)+$", "", self._address.without_secret(error))
