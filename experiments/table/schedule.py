"""Cells side by side, each in its own process, a network's cell before its baselines."""

import contextlib
import datetime
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from facehash.errors import Interrupted
from facehash.learning.memory import memory_settings

_SECONDS_TO_STOP = 30.0  # a cell that is still running this long after SIGTERM is killed
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


class Cell(Protocol):
    """What is measured in one process, such as `experiments.table.grid.Cell`."""

    @property
    def name(self) -> str:
        """Unique name."""

    @property
    def network(self) -> "Cell | None":
        """The cell that has to be measured before this one."""


def run_cells(
    cells: Sequence[Cell],
    command: Callable[[Cell], Sequence[str]],
    logs: Path,
    jobs: int = 1,
    show: Callable[[str], None] = print,
) -> dict[str, str]:
    """Run cells, each in its own process; a failing cell does not stop the others.

    The cells of one network run one after another, the network's own cell first.

    Args:
        cells: The cells to run.
        command: Returns the command line that measures a cell and exits with 0 on success.
        logs: Folder for the output of each cell.
        jobs: Number of cells that run at the same time.
        show: Receives a line of text whenever a cell starts, ends or fails.

    Returns:
        The reason of each failure, by the cell's name.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the running cells are stopped first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    variables = os.environ | thread_share(jobs) | memory_settings()
    runner = _Runner(len(cells), command, logs, variables, show)
    of_network: dict[str, list[Cell]] = {}
    for cell in cells:
        of_network.setdefault((cell.network or cell).name, []).append(cell)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for chain in as_completed([pool.submit(runner.run, c) for c in of_network.values()]):
                chain.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            if not isinstance(error, KeyboardInterrupt):
                raise
            raise Interrupted(
                f"interrupted with {runner.done} of {len(cells)} cells done; running trainings "
                "keep their last whole epoch"
            ) from error
    return runner.failed


def thread_share(jobs: int) -> dict[str, str]:
    """Return environment variables that give each of `jobs` processes its share of the CPUs."""
    if jobs == 1:
        return {}
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = str(max(1, (available or 1) // jobs))
    return dict.fromkeys(_THREADS, share) | {"TF_NUM_INTEROP_THREADS": "1"}


@dataclass
class _Runner:
    """What the threads of `run_cells` share."""

    total: int
    command: Callable[[Cell], Sequence[str]]
    logs: Path
    environment: dict[str, str]
    show: Callable[[str], None]
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    stopping: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, chain: Sequence[Cell]) -> None:
        """Run the cells of one network, in its thread."""
        for cell in sorted(chain, key=lambda cell: cell.network is not None):
            if cell.network and cell.network.name in self.failed:
                self._settle(cell, f"its network {cell.network.name} failed")
            else:
                self._run_cell(cell)

    def _run_cell(self, cell: Cell) -> None:
        log = self.logs / f"{cell.name}.log"
        with self.lock:
            if self.stopping:
                return
            process = _start(self.command(cell), log, self.environment)
            self.processes[cell.name] = process
            self.show(f"{cell.name}: running")
        started = time.monotonic()
        code = process.wait()
        duration = datetime.timedelta(seconds=round(time.monotonic() - started))
        failure = f"{_last_words(code, log)} (see {log})" if code else None
        self._settle(cell, failure, f" in {duration}")

    def _settle(self, cell: Cell, failure: str | None, duration: str = "") -> None:
        with self.lock:
            self.processes.pop(cell.name, None)
            if self.stopping:
                return
            if failure:
                self.failed[cell.name] = failure
            else:
                self.done += 1
            what = f"failed: {failure}" if failure else f"done{duration}"
            ended = self.done + len(self.failed)
            self.show(f"{cell.name}: {what} [{ended} of {self.total}]")

    def stop(self) -> None:
        """Stop the running processes, and kill those that do not end."""
        with self.lock:
            self.stopping = True
            processes = list(self.processes.values())
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                # Not SIGINT, which is ignored by all processes of a job in the background.
                process.terminate()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):  # the user's second Ctrl-C
                process.kill()
                process.wait()


def _start(words: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        # The child's stdin closes when this process ends, however it ends.
        return subprocess.Popen(  # noqa: S603 (our own words)
            words,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only this process, which passes it on
        )


def _last_words(code: int, log: Path) -> str:
    """Explain a failure: the last line of the log, unless a signal ended the process."""
    if code < 0:
        killer = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ", perhaps out of memory" if killer == "SIGKILL" else ""
        return f"killed by {killer}{hint}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"exit status {code}"
