"""What every server of the tests does: start, be killed, come back, and end with its tests."""

from __future__ import annotations

import abc
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

_ACCOUNTS = ("nobody", "postgres", "redis")


def require(name, reason):
    """Skip for a missing server, or fail where FACEHASH_REQUIRE_ENGINES names it."""
    if name in os.environ.get("FACEHASH_REQUIRE_ENGINES", "").split():
        pytest.fail(f"{reason}, and FACEHASH_REQUIRE_ENGINES names {name}", pytrace=False)
    pytest.skip(f"{reason} (a test of the index on {name})")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def account():
    """Return an account for servers that refuse to run as root, or None for any other user."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError(f"none of the accounts {_ACCOUNTS} exists")


def as_account(command):
    """Return a command line that runs another as the account of servers."""
    command = list(map(str, command))
    if (owner := account()) is None:
        return command
    change = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    if not Path("/etc").stat().st_mode & 0o005:
        # Where only root reads /etc, a server finds neither its account nor its settings.
        change += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*change, *command]


def reachable(path):
    """Whether the server's account may read what is at a path."""
    if account() is None:
        return True
    path = Path(path).resolve()
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


class ServerError(Exception):
    """A server did not start; the message ends with the last lines of its log."""


class Server(abc.ABC):
    """A server with its data in a folder of its own.

    A class for another server gives `name`, `command`, `is_ready`, `url`, and where needed
    `environment` and `prepare`. Its constructor calls `require` if the server is not installed.

    Attributes:
        name: As in FACEHASH_REQUIRE_ENGINES.
        start_timeout: Seconds until it must be ready.
        password: Of the account in `url`, or None.
        folder: Temporary; belongs to the account that runs the server.
        data_directory: What is searched for bytes that should be erased.
        port: Port on 127.0.0.1, the same after a restart.
    """

    name: str
    start_timeout = 60.0
    password: str | None = None

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"facehash-{self.name}-"))
        self.data_directory = self.folder / "data"
        self.data_directory.mkdir()
        self.port = free_port()
        self._process = None
        self._prepared = False

    @property
    @abc.abstractmethod
    def url(self):
        """The address of `facehash.index.engines`, with a password if there is one."""

    @abc.abstractmethod
    def command(self):
        """Return the command line of the server, which stays in the foreground."""

    @abc.abstractmethod
    def is_ready(self):
        """Whether it answers; may raise any error if it does not."""

    def environment(self):
        """Return its environment variables."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def prepare(self):  # noqa: B027 - most servers need nothing
        """Do what is needed once, before the first start."""

    def run(self, *command):
        """Run a command as the server's account; a ServerError with its output if it fails."""
        done = subprocess.run(
            as_account(command),
            env=self.environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"{command[0]} failed:\n{done.stdout[-2000:]}")
        return done.stdout

    def start(self):
        """Start and wait until it answers."""
        if not self._prepared:
            self.give_to_account(self.folder)
            self.prepare()
            self._prepared = True
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                as_account(self.command()),
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + self.start_timeout
        error = None
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if self.is_ready():
                    return
            except Exception as caught:  # whatever a client raises while nobody listens
                error = caught
            time.sleep(0.05)
        self.kill()
        raise ServerError(f"{self.name} did not start: {error}\n{self.log()[-3000:]}")

    def log(self):
        return (self.folder / "log.txt").read_text(errors="replace")

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def ensure_running(self):
        if not self.running:
            self.start()

    def kill(self):
        """End every process of it at once, as when the power fails."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def restart(self):
        """Kill it and start it again on the same data and the same port."""
        self.kill()
        self.start()

    def stop(self):
        """End it in an orderly way."""
        if self.running:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(self.start_timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    stop_signal = signal.SIGTERM

    @contextlib.contextmanager
    def paused(self):
        """Let nothing of it run, so that connections are accepted but never answered."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def close(self):
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def give_to_account(self, path):
        """Make a folder, with all that is in it, the property of the server's account."""
        if (owner := account()) is not None:
            os.chmod(self.folder, 0o755)
            for found in (Path(path), *Path(path).rglob("*")):
                os.chown(found, owner.pw_uid, owner.pw_gid, follow_symlinks=False)

    def files_with(self, traces, except_in=()):
        """Return the files of the data directory that contain one of some byte strings.

        Args:
            traces: Byte strings.
            except_in: Folders, relative to the data directory, that are not read.
        """
        passed_over = [self.data_directory / name for name in except_in]
        contains = _Contains(traces)
        found = []
        # A running server may delete a file or a folder at any time. os.walk passes over a folder
        # that is gone; Path.rglob stops with an error.
        for folder, _, names in os.walk(self.data_directory):
            if any(Path(folder).is_relative_to(other) for other in passed_over):
                continue
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file() and contains(path.read_bytes()):
                        found.append(str(path.relative_to(self.data_directory)))
        found.sort()
        return found

    def _signal(self, number):
        """Signal the process that was started and all its descendants, whatever their groups."""
        if not self.running:
            return
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            if number != signal.SIGCONT:
                parent.send_signal(signal.SIGSTOP)
                while parent.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                    time.sleep(0.001)  # it might still start children
            children = parent.children(recursive=True)
            for process in (*children, parent):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            if number == signal.SIGKILL:
                # A server that starts again refuses to do so beside what is left of the old one.
                psutil.wait_procs(children, timeout=30)


class _Contains:
    """Whether bytes contain one of many traces, far faster than one search for each of them."""

    def __init__(self, traces):
        self._traces = set(traces)
        self._lengths = {len(trace) for trace in self._traces}
        assert min(self._lengths, default=8) >= 4, "too short to be recognised"
        self._heads = np.zeros(1 << 16, bool)
        for trace in self._traces:
            self._heads[trace[0] | trace[1] << 8] = True

    def __call__(self, content):
        data = np.frombuffer(content, np.uint8).astype(np.uint16)
        starts = np.flatnonzero(self._heads[data[:-1] | data[1:] << 8])
        return any(
            content[start : start + length] in self._traces
            for start in starts.tolist()
            for length in self._lengths
        )
