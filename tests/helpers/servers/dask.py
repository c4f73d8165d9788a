"""A Dask scheduler and workers on loopback, as the commands `dask scheduler` and `dask worker`."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import psutil

from tests.conftest import ROOT


class Cluster:
    """A scheduler, and the workers that are started.

    Args:
        folder: For the logs.
        protocol: ``"tcp"`` or ``"tls"``.
        options: Further options of both commands, such as those of certificates.
    """

    def __init__(self, folder, protocol="tcp", options=()):
        self.folder, self.options = folder, list(map(str, options))
        self.processes = []
        log = self._start("scheduler", "--protocol", protocol, "--port", "0")
        self.url = self._read(log, rf"Scheduler at: +({protocol}://127\.0\.0\.1:\d+)")

    def start_worker(self, *options, **environment):
        """Start a worker with one thread, and wait until it has joined; return its process."""
        log = self._start("worker", self.url, "--nthreads", "1", *options, **environment)
        self._read(log, r"Registered to: +(\S+)")
        return self.processes[-1]

    def close(self):
        for process in reversed(self.processes):  # Dask's nannies wait for a scheduler that is gone
            end(process)

    def _start(self, command, *options, **environment):
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as file:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", command, *options, *self.options,
                     "--host", "127.0.0.1", "--no-dashboard"],
                    cwd=self.folder,
                    env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )  # fmt: skip
        return log

    def _read(self, log, pattern):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.processes[-1].poll() is None:
            if found := re.search(pattern, log.read_text()):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"not started:\n{log.read_text()}")


def end(process):
    """Kill a process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        one = psutil.Process(process.pid)
        for child in [one, *one.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGKILL)
    process.wait()


def worker_of(nanny):
    """Return the process that works for a nanny, which replaces it when it dies."""
    children = psutil.Process(nanny.pid).children()
    [worker] = [one for one in children if any("spawn_main" in word for word in one.cmdline())]
    return worker
