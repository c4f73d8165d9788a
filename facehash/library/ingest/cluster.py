"""A Dask cluster that reads photos: ``facehash index --on tcp://HOST:PORT``.

Dask carries pickles between the processes of a cluster: whoever can connect to the scheduler or to
a worker can run any code there. Beyond this machine, connections are therefore encrypted and both
sides show a certificate, unless the user decides otherwise.
"""

import contextlib
import functools
import logging
import ssl
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import facehash
from facehash.errors import InputError, in_one_line
from facehash.index.engines.address import is_loopback
from facehash.library.ingest.chunks import ReadChunk, ReadTask, WorkerRefusedError, check_worker
from facehash.library.ingest.machines import Machines

log = logging.getLogger(__name__)

_PORT = 8786
_CONNECTING = 10.0  # seconds
_WITHOUT_WORKERS = 60.0  # seconds
_CHUNKS_PER_THREAD = 4
_LOOK_AGAIN = 5.0  # seconds after which the number of workers is asked for again
_CLOSING = 5.0  # seconds

_UNREACHABLE = (OSError, RuntimeError, ImportError, ValueError)
"""What Dask raises where it finds no scheduler, or one that it does not understand."""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format; Dask's configuration has those that are not given.

    Attributes:
        authority: Certificate of the authority that signed those of the scheduler and the workers.
        certificate: That of this machine.
        key: Its private key, if it is not in the same file.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@contextlib.contextmanager
def connect(
    url: str, *, certificates: Certificates | None = None, insecure: bool = False
) -> "Iterator[DaskMachines]":
    """Connect to a Dask scheduler.

    Args:
        url: ``tcp://HOST:PORT``, or ``tls://HOST:PORT`` with certificates. The port is 8786 if none
            is given.
        certificates: Those for ``tls://``. Default: as in Dask's configuration.
        insecure: Allow ``tcp://`` beyond this machine.

    Yields:
        The cluster, for `facehash.library.ingest.update.index_folder`.

    Raises:
        InputError: An invalid address, Dask is not installed, certificates that are missing or not
            accepted, no scheduler, or one of another version of Dask.

    Example:
        >>> with connect("tcp://127.0.0.1:8786") as machines:  # doctest: +SKIP
        ...     index_folder(Path("/photos"), Path("lib"), machines=machines)
    """
    address = _address(url, insecure)
    encrypted = address.startswith("tls:")
    if certificates and not encrypted:
        raise InputError(f"{url}: certificates need an address with tls://")
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"--on {url}: needs Dask; pip install 'facehash[dask]' here and on each worker"
        ) from error
    # We say in one line what differs.
    warnings.filterwarnings("ignore", module=r"distributed\.client")
    security = _security(certificates or Certificates(), address) if encrypted else None
    with _quiet("distributed", "tornado.application"):
        try:
            client = distributed.Client(
                address, security=security, timeout=_CONNECTING, set_as_default=False
            )
        except _UNREACHABLE as error:
            raise InputError(f"{address}: {_why_unreachable(error, encrypted)}") from error
        except Exception as error:  # whatever an unknown argument or a missing field leads to
            _abandon(error)
            raise InputError(
                f"{address}: the scheduler does not understand distributed "
                f"{distributed.__version__} of this machine ({_first_sentence(error)}); install "
                "the same version there"
            ) from None
        try:
            machines = DaskMachines(
                client.get_executor(pure=False), client=client, address=address, insecure=insecure
            )
            machines.check_versions()
            yield machines
        finally:
            with contextlib.suppress(*_UNREACHABLE):
                client.close(timeout=_CLOSING)


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Silence loggers: what goes wrong becomes one of our errors, and they print it as well.

    Dask's executor also logs that a chunk ends at the moment at which it is cancelled.
    """
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@dataclass(frozen=True)
class DaskMachines(Machines):
    """The workers of a Dask scheduler. Made by `connect`."""

    client: Any = None
    address: str = ""
    insecure: bool = False
    _state: dict[str, float] = field(default_factory=dict)

    def check_versions(self) -> None:
        """Raise an InputError if the scheduler or a worker has another Dask or Python."""
        versions = self._ask(self.client.get_versions)
        expected = _versions(versions["client"])
        others = {f"scheduler {self.address}": versions["scheduler"]}
        others |= {f"worker {name}": one for name, one in versions["workers"].items()}
        for name, one in others.items():
            if one and _versions(one) != expected:
                raise InputError(
                    f"{name}: has {_versions(one)}, not {expected} as this machine; install the "
                    "same there"
                )

    def check(self, task: ReadTask, probe: Path | None) -> None:
        """Wait for workers, and check those that there are; others when they get photos."""
        self._wait_for_workers()
        # A Dask worker runs what follows outside of its queue, so that busy ones answer too.
        answers = self._ask(
            functools.partial(
                self.client.run,
                check_worker,
                facehash.__version__,
                task,
                [] if probe is None else [probe],
                on_error="return",
            )
        )
        self.check_versions()
        # Of a worker that has died meanwhile there is an OSError.
        answers = {name: one for name, one in answers.items() if not isinstance(one, OSError)}
        for name, answer in answers.items():
            if isinstance(answer, WorkerRefusedError):
                raise answer
            if isinstance(answer, BaseException):
                raise InputError(_why_refused(f"worker {name}", answer)) from answer
        different = {name: one for name, one in answers.items() if one != task.environment.engines}
        if different:
            name, engines = next(iter(different.items()))
            log.warning(
                f"{len(different)} of {len(answers)} workers compute with other libraries than "
                f"this machine ({name}: {engines}; here: {task.environment.engines}), so that "
                "vectors differ in their last digits"
            )

    def chunks_at_a_time(self) -> int:
        """Return four for each thread of the workers, so that none waits for the next chunk."""
        return _CHUNKS_PER_THREAD * max(1, round(self._threads()))

    def result(self, future: Future[ReadChunk]) -> ReadChunk | None:
        """Wait for a chunk, as long as there are workers."""
        from distributed import KilledWorker

        while True:
            try:
                return future.result(timeout=1)
            except TimeoutError:
                if self._threads() == 0:
                    self._wait_for_workers()
            except KilledWorker:
                return None
            except CancelledError as error:
                raise InputError(self._lost()) from error
            except (ImportError, AttributeError, RuntimeError) as error:
                # Our function is not there.
                who = "the scheduler, or a worker that has joined since"
                raise InputError(_why_refused(who, error)) from error

    def _threads(self) -> float:
        """Return the number of threads of all workers, which a few seconds may have changed."""
        now = time.monotonic()
        if now - self._state.get("asked", -_LOOK_AGAIN) >= _LOOK_AGAIN:
            self._state.update(asked=now, threads=sum(self._nthreads().values()))
        return self._state["threads"]

    def _nthreads(self) -> dict[str, int]:
        found: dict[str, int] = self._ask(self.client.nthreads)
        for name in found:
            host = urlsplit(name).hostname or ""
            if name.startswith("tcp:") and not self.insecure and not is_loopback(host):
                raise InputError(
                    f"worker {name}: is on another machine and not encrypted; {_UNENCRYPTED}"
                )
        return found

    def _wait_for_workers(self) -> None:
        start = time.monotonic()
        said = False
        while not self._nthreads():
            if time.monotonic() - start > _WITHOUT_WORKERS:
                raise InputError(
                    f"{self.address}: no worker within {_WITHOUT_WORKERS:.0f} seconds; start one "
                    f"on each machine that reads photos: dask worker {self.address}"
                )
            if not said and time.monotonic() - start > 1:
                log.warning(
                    f"{self.address}: has no workers; waiting {_WITHOUT_WORKERS:.0f} seconds for "
                    f"the first one (dask worker {self.address})"
                )
                said = True
            time.sleep(0.2)
        self._state.clear()

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except _UNREACHABLE as error:
            if isinstance(error, InputError):
                raise
            raise InputError(self._lost()) from error

    def _lost(self) -> str:
        return (
            f"{self.address}: the connection to the scheduler is lost; photos that were read "
            "before are stored, and the same command continues"
        )


_UNENCRYPTED = (
    "photos, faces and the programs that read them would cross the network readable, and whoever "
    "reaches the scheduler can run code on every machine of it; use tls:// with certificates, or "
    "--insecure on a network that you trust"
)


def _abandon(error: BaseException) -> None:
    """Let nothing wait for a client whose constructor has failed."""
    from distributed import Client

    for frame, _ in traceback.walk_tb(error.__traceback__):
        client = frame.f_locals.get("self")
        if isinstance(client, Client):
            client.status = "closed"


def _address(url: str, insecure: bool) -> str:
    """Check the address of a scheduler and return it with its port."""
    expected = f"--on {url}: expected the address of a Dask scheduler, tcp://HOST:{_PORT} or tls://"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(expected) from error
    if parts.scheme not in ("tcp", "tls") or not host or parts.path not in ("", "/"):
        raise InputError(expected)
    if parts.scheme == "tcp" and not insecure and not is_loopback(host):
        raise InputError(f"--on {url}: is on another machine and not encrypted; {_UNENCRYPTED}")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port or _PORT}"


def _security(given: Certificates, address: str) -> Any:
    """Return Dask's settings for an encrypted connection."""
    from distributed import Security

    files = {
        "tls_ca_file": given.authority,
        "tls_client_cert": given.certificate,
        "tls_client_key": given.key,
    }
    security = Security(
        require_encryption=True, **{name: str(path) for name, path in files.items() if path}
    )
    for option, setting, value in (
        ("--tls-ca", "ca-file", security.tls_ca_file),
        ("--tls-cert", "client.cert", security.tls_client_cert),
    ):
        if not value:
            raise InputError(
                f"{address}: needs {option} FILE, or distributed.comm.tls.{setting} in Dask's "
                "configuration"
            )
    for value in (security.tls_ca_file, security.tls_client_cert, security.tls_client_key):
        if value and "\n" not in value:  # Dask accepts the content of a file too
            Path(value).open("rb").close()  # an OSError names the file, that of ssl does not
    try:
        security.get_connection_args("client")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InputError(
            f"{address}: {security.tls_ca_file}, {security.tls_client_cert}: not certificates and "
            f"a key in PEM format that belong together ({_first_sentence(error)})"
        ) from error
    return security


def _why_unreachable(error: BaseException, encrypted: bool) -> str:
    """Return in words why there is no connection to a scheduler."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    problem = next((one for one in causes if isinstance(one, ssl.SSLError)), None)
    if problem is not None:
        return (
            f"the encrypted connection failed ({_first_sentence(problem)}); are the certificates "
            "of both sides signed by the authority of --tls-ca?"
        )
    hint = "is it one that uses tls://, with the same authority?" if encrypted else (
        "is it running (dask scheduler), and is the address the one that it printed?"
    )  # fmt: skip
    # Its last words; what Dask says around them, or cancels, says less.
    said = (one for one in reversed(causes) if isinstance(one, OSError) and str(one))
    return f"no scheduler answers ({_first_sentence(next(said, error))}); {hint}"


def _why_refused(who: str, error: BaseException) -> str:
    """Return in words why a worker, or its scheduler, cannot run our function."""
    missing = [one for one in (error, error.__cause__) if isinstance(one, ImportError)]
    why = _first_sentence(missing[-1] if missing else error)
    return (
        f"{who}: facehash {facehash.__version__} cannot run there ({why}); workers and "
        f"scheduler need the same version: pip install 'facehash[dask]=={facehash.__version__}'"
    )


def _versions(found: Any) -> str:
    python = ".".join(str(found["host"]["python"]).split(".")[:2])
    return f"Python {python} with distributed {found['packages']['distributed']}"


def _first_sentence(error: BaseException) -> str:
    return in_one_line(error).partition(". ")[0]
