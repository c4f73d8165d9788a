"""A connection to PostgreSQL that never hangs, and whose errors name the server in one line."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import errors

from facehash.index.engines.address import Address
from facehash.index.engines.base import EngineError, UnreachableEngineError

OLDEST = 14  # the first with bit_count

# A failed rollback of a lost connection would be printed beside our error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_UNREACHABLE = ("08", "28", "57")  # connection, login, shutdown or timeout


class Session:
    """Connects, and again after a connection was lost.

    Every method raises EngineError, or UnreachableEngineError without a usable answer.
    """

    def __init__(self, address: Address) -> None:
        """Connect to a server of version 14 or newer."""
        self.address = address
        self._connection = self._connect()
        self.version = self._connection.info.server_version
        if self.version < OLDEST * 10_000:
            self.close()
            raise EngineError(
                f"{address}: PostgreSQL {OLDEST} or newer is needed, not {self.version // 10_000}"
            )

    def close(self) -> None:
        """Close the connection; no error if it is lost."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    @contextlib.contextmanager
    def quick(self) -> Iterator[Any]:
        """Give the connection for what must end within the timeout of the address."""
        # A little longer than the server's own limit, whose message says more.
        with self._watched(self.address.timeout + 0.5, lambda: False) as connection:
            yield connection

    @contextlib.contextmanager
    def patient(self) -> Iterator[Any]:
        """Give the connection for what takes as long as the server accepts new connections."""
        with self._watched(self.address.timeout, self._accepts) as connection:
            yield connection

    @contextlib.contextmanager
    def _watched(self, seconds: float, goes_on: Callable[[], bool]) -> Iterator[Any]:
        with self._one_line():
            if self._connection.closed:
                self._connection = self._connect()
            connection = self._connection
            watch = _Watch(connection.fileno(), seconds, goes_on)
            try:
                yield connection
            except psycopg.Error as error:
                if not watch.cut:
                    raise
                connection.close()
                raise UnreachableEngineError(
                    f"{self.address}: no answer within {self.address.timeout:g} seconds"
                ) from error
            finally:
                watch.end()

    def _accepts(self) -> bool:
        """Whether the server still answers to a new connection, whatever it answers."""
        try:
            psycopg.connect(**self._parameters()).close()
        except errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            pass
        return True

    def _parameters(self) -> dict[str, Any]:
        address = self.address
        parameters = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "dbname": address.path,
            "sslmode": address.options.get("sslmode"),
            "sslrootcert": address.options.get("sslrootcert"),
        }
        return {
            **{name: value for name, value in parameters.items() if value},
            "connect_timeout": max(1, round(address.timeout)),
            "application_name": "facehash",
            # Without these, a machine that lost its power is noticed after two hours.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            # Connection poolers know nothing of what was prepared on another connection.
            "prepare_threshold": None,
            "autocommit": True,
        }

    def _connect(self) -> Any:
        with self._one_line():
            return psycopg.connect(**self._parameters())

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except errors.QueryCanceled as error:
            raise UnreachableEngineError(
                f"{self.address}: no answer within {self.address.timeout:g} seconds"
            ) from error
        except psycopg.Error as error:
            raise self._error(error) from error

    def _error(self, error: psycopg.Error) -> EngineError:
        state = error.sqlstate or ""
        # What follows the first line of these messages is advice for administrators.
        text = str(error).split("\n\t")[0] if not state else str(error).split("\n")[0]
        line = f"{self.address}: {self.address.without_secret(text)}"
        refused = getattr(error, "pgconn", None)
        if refused is not None and (refused.needs_password or "password" in text.lower()):
            account = self.address.user or "the account of this system"
            return UnreachableEngineError(
                f"{self.address}: the server refuses the password of {account}, or there is none; "
                "set FACEHASH_ENGINE_PASSWORD"
            )
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if state.startswith(_UNREACHABLE) or (lost and not state):
            return UnreachableEngineError(line)
        if isinstance(error, errors.InsufficientPrivilege):
            account = self.address.user or "the account of this system"
            return EngineError(f"{line} (for {account})")
        return EngineError(line)


class _Watch:
    """Breaks a connection off that takes too long; the waiting thread then gets an error.

    Attributes:
        cut: Whether it did.
    """

    def __init__(self, file: int, seconds: float, goes_on: Callable[[], bool]) -> None:
        self.cut = False
        self._file, self._seconds, self._goes_on = file, seconds, goes_on
        self._done = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._wait, daemon=True).start()

    def end(self) -> None:
        with self._lock:  # after this the number of the file may belong to something else
            self._done.set()

    def _wait(self) -> None:
        while not self._done.wait(self._seconds):
            if self._goes_on():
                continue
            with self._lock:
                if self._done.is_set():
                    return
                self.cut = True
                with contextlib.suppress(OSError):
                    duplicate = socket.fromfd(self._file, socket.AF_INET, socket.SOCK_STREAM)
                    with duplicate:
                        duplicate.shutdown(socket.SHUT_RDWR)
            return
