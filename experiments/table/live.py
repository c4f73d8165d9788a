"""What the user sees while a table is made: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from experiments.table.grid import Cell
from experiments.table.schedule import Progress

_SIGNS = {"done": "[green]#[/]", "running": "[yellow]>[/]", "waiting": "[dim].[/]"}
_SIGNS["failed"] = "[bold red]x[/]"


@contextlib.contextmanager
def shown(title: str, console: Console) -> Iterator[Callable[[Progress], None]]:
    """Give the function to be called with the progress, again and again.

    Args:
        title: Of the table.
        console: Where to; a terminal gets a live table, anything else a line a change.
    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield lambda progress: live.update(draw(title, progress))


def draw(title: str, progress: Progress) -> Table:
    """Draw a row of the table as a line of signs, one a cell, and the state of the whole below."""
    protocols = list(dict.fromkeys(cell.protocol for cell in progress.cells))
    columns = sorted(
        {(cell.protocol, cell.bits) for cell in progress.cells},
        key=lambda column: (protocols.index(column[0]), column[1] or 2**16),
    )
    table = Table(
        title=f"{escape(title)}\n# done  > running  . waiting  x failed, one sign a seed",
        title_justify="left",
        caption=summary(progress),
        caption_justify="left",
    )
    table.add_column("")
    for protocol, bits in columns:
        table.add_column(f"{protocol}\n{bits or 'float'}", justify="center")
    for row in dict.fromkeys(cell.row.id for cell in progress.cells):
        signs = [
            "".join(
                _SIGNS[progress.states[cell.name]]
                for cell in progress.cells
                if (cell.row.id, cell.protocol, cell.bits) == (row, *column)
            )
            for column in columns
        ]
        table.add_row(row, *signs)
    return table


def summary(progress: Progress) -> str:
    """Say in a line what is done, running, left, and how long it will take."""
    running = [
        f"{name} ({_clock(time.monotonic() - since)})" for name, since in progress.started.items()
    ]
    left = progress.count("waiting") + progress.count("running")
    seconds = progress.seconds_left()
    words = [f"{progress.count('done')} of {len(progress.cells)} done"]
    if progress.count("failed"):
        words.append(f"{progress.count('failed')} failed")
    if running:
        words.append("running " + ", ".join(running))
    if left:
        words.append(f"{left} left, " + (f"about {_clock(seconds)}" if seconds else "time unknown"))
    return "; ".join(words)


class _Lines:
    """Prints a line whenever the state of a cell has changed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.states: dict[str, str] = {}

    def __call__(self, progress: Progress) -> None:
        for cell in progress.cells:
            self._show(cell, progress)

    def _show(self, cell: Cell, progress: Progress) -> None:
        state = progress.states[cell.name]
        # Cells that ended before this command are no news; the first to be started are.
        before = self.states.get(cell.name, "done" if state == "done" else "waiting")
        self.states[cell.name] = state
        if state == before:
            return
        reason = f": {progress.reasons[cell.name]}" if state == "failed" else ""
        line = f"{cell.name} {state}{reason} [{summary(progress)}]"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
