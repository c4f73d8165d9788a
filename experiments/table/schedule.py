"""Cells side by side, each in a process of its own, those first that others need."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.table.grid import Cell
from facehash.errors import Interrupted

State = Literal["done", "running", "waiting", "failed"]
_POLL = 0.2
_GRACE = 30.0

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


@dataclass
class Progress:
    """Where a table stands.

    Attributes:
        cells: Every cell of the table.
        states: Of each cell, by name.
        reasons: Why a cell failed, by name.
        started: When a running cell was started, seconds of `time.monotonic`, by name.
        seconds: How long cells took, by row and protocol.
        jobs: Cells that run side by side.
    """

    cells: tuple[Cell, ...]
    states: dict[str, State]
    reasons: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    jobs: int = 1

    def count(self, state: State) -> int:
        """Count the cells in a state."""
        return sum(value == state for value in self.states.values())

    def note_seconds(self, cell: Cell, seconds: float) -> None:
        """Remember how long a cell took."""
        self.seconds.setdefault((cell.row.id, cell.protocol), []).append(seconds)

    def seconds_left(self) -> float | None:
        """Estimate the time left from the cells that are most alike.

        A network of which nothing is known makes it None; a baseline costs next to nothing.
        """
        left, longest, now = 0.0, 0.0, time.monotonic()
        for cell in self.cells:
            if self.states[cell.name] not in ("running", "waiting"):
                continue
            expected = self._expected_seconds(cell)
            if expected is None and cell.network is None:
                return None
            spent = now - self.started.get(cell.name, now)
            rest = max((expected or 0.0) - spent, 0.0)
            left, longest = left + rest, max(longest, rest)
        return max(left / self.jobs, longest)

    def _expected_seconds(self, cell: Cell) -> float | None:
        """Take the mean over the cells of the same row and protocol, else row, else kind."""
        kinds = {other.row.id: other.network is None for other in self.cells}
        alike: tuple[Callable[[str, str], bool], ...] = (
            lambda row, protocol: (row, protocol) == (cell.row.id, cell.protocol),
            lambda row, protocol: row == cell.row.id,
            lambda row, protocol: kinds[row] == (cell.network is None),
        )
        for fits in alike:
            known = [s for key, many in self.seconds.items() if fits(*key) for s in many]
            if known:
                return statistics.fmean(known)
        return None


def run_cells(
    progress: Progress,
    command: Callable[[Cell], Sequence[str]],
    logs: Path,
    observe: Callable[[Progress], None],
) -> None:
    """Run every waiting cell; a failing one does not stop the rest.

    Cells of one network never run at the same time, and a baseline waits for its network's cell.

    Args:
        progress: Brought up to date while cells run.
        command: Returns the words that measure a cell and leave with 0 when its report is written.
        logs: Folder for what each cell prints.
        observe: Called at every turn.

    Raises:
        Interrupted: Ctrl-C; the running cells are told to stop first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | thread_share(progress.jobs)
    running: dict[str, tuple[Cell, subprocess.Popen[bytes]]] = {}
    try:
        while progress.count("waiting") or running:
            for cell in progress.cells:
                if len(running) < progress.jobs and _can_start(cell, progress, running):
                    log = logs / f"{cell.name}.log"
                    running[cell.name] = (cell, _start(command(cell), log, environment))
                    progress.states[cell.name] = "running"
                    progress.started[cell.name] = time.monotonic()
            for name, (cell, process) in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    _settle(cell, process.returncode, logs / f"{name}.log", progress)
            observe(progress)
            time.sleep(_POLL)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"interrupted with {progress.count('done')} of {len(progress.cells)} cells done; "
            "the same command goes on from there"
        ) from stop
    finally:
        _stop([process for _, process in running.values()])


def thread_share(jobs: int) -> dict[str, str]:
    """Return the environment that gives each of some processes its share of the processors."""
    if jobs == 1:
        return {}
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = str(max(1, (available or 1) // jobs))
    return dict.fromkeys(_THREADS, share) | {"TF_NUM_INTEROP_THREADS": "1"}


def _can_start(
    cell: Cell, progress: Progress, running: dict[str, tuple[Cell, subprocess.Popen[bytes]]]
) -> bool:
    if progress.states[cell.name] != "waiting":
        return False
    network = cell.network or cell
    if cell.network:
        state = progress.states.get(network.name, "done")
        if state == "failed":
            progress.states[cell.name] = "failed"
            progress.reasons[cell.name] = f"its network {network.name} failed"
        if state != "done":
            return False
    return all((other.network or other).name != network.name for other, _ in running.values())


def _start(words: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        # The child sees its stdin close when this process ends, however that happens.
        return subprocess.Popen(  # noqa: S603 (our own words)
            words,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process, which passes it on
        )


def _settle(cell: Cell, code: int, log: Path, progress: Progress) -> None:
    if code == 0:
        progress.states[cell.name] = "done"
        progress.note_seconds(cell, time.monotonic() - progress.started.pop(cell.name))
        return
    progress.started.pop(cell.name)
    progress.states[cell.name] = "failed"
    progress.reasons[cell.name] = f"{_last_words(code, log)} (see {log})"


def _last_words(code: int, log: Path) -> str:
    """Say why a process failed: what it printed last, unless it was killed in the middle."""
    if code < 0:
        killer = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ", perhaps for want of memory" if killer == "SIGKILL" else ""
        return f"killed by {killer}{hint}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"exit status {code}"


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
