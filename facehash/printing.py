"""What is printed: text from files and people made safe for a terminal, and progress bars."""

from __future__ import annotations

import contextlib
import reprlib
import shlex
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200


def printable(value: object) -> str:
    """Replace every character that could move a terminal's cursor or change its colors.

    Spaces of every width stay: file names contain them, and a name must remain copyable.
    """
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else _REPLACEMENT
        for one in str(value)
    )


def brief(value: object) -> str:
    """Return `repr` of a value, shortened.

    Lists that refer to each other repeatedly are small in a file and endless as text.
    """
    return _BRIEF.repr(value)


def counted(number: int, what: str) -> str:
    """Return ``"1 face"``, ``"2 faces"``, ``"2 people"``."""
    plural = {"person": "people"}.get(what, f"{what}s")
    return f"{number:,} {what if number == 1 else plural}"


def quoted(path: object) -> str:
    """Return a path as one word of a shell command, for commands that the user is to run.

    Example:
        >>> print("facehash check --library", quoted("My photos"))
        facehash check --library 'My photos'
    """
    return shlex.quote(printable(path))


_SECONDS_BETWEEN_LINES = 10.0

ProgressListener = Callable[[str, int, int | None], None]
"""(what is done, steps done, all steps if known)."""

_listeners: list[ProgressListener] = []


@contextlib.contextmanager
def listen_to_progress(listener: ProgressListener) -> Iterator[None]:
    """Call a function at each step of every `progress` that starts in the block.

    Example:
        >>> with listen_to_progress(lambda what, done, total: print(what, done, total)):
        ...     for _ in progress(range(2), desc="reading", shown=False):
        ...         pass
        reading 0 2
        reading 1 2
        reading 2 2
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class _Lines:
    """A stream for a bar: each redrawing becomes a line, without carriage returns."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.replace("\r", "").strip():
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(
    items: Iterable[Any] | None = None, *, shown: bool = True, **options: Any
) -> tqdm[Any]:
    """Return a `tqdm` bar on stderr.

    On a terminal it redraws itself. Elsewhere, in a log say, it prints a line every 10 seconds,
    and nothing at all for work that takes less.

    Args:
        items: What to iterate over; None for a bar that is updated by hand.
        shown: False hides the bar.
        **options: Other arguments of `tqdm`, such as `total`, `desc` and `unit`.
    """
    # Imported here: a command's --help needs no bar.
    from tqdm import tqdm

    if sys.stderr is None:  # closed, as by pythonw
        shown = False
    elif not sys.stderr.isatty():
        options |= {
            "file": _Lines(sys.stderr),
            "mininterval": _SECONDS_BETWEEN_LINES,
            "maxinterval": 2 * _SECONDS_BETWEEN_LINES,
            "delay": _SECONDS_BETWEEN_LINES,
            "miniters": 1,
            "ncols": 100,
        }
    return _reporting(tqdm)(items, disable=not shown, **options)


def _reporting(bar: type[tqdm[Any]]) -> type[tqdm[Any]]:
    """Return a class of bars that call the listeners; without listeners, the class itself."""
    if not _listeners:
        return bar

    class Reporting(bar):  # type: ignore[valid-type,misc]
        def __init__(self, items: Iterable[Any] | None, **options: Any) -> None:
            super().__init__(items, **options)
            self._what, self._done, self._all = options.get("desc") or "", 0, self.total
            self._report(0)

        def _report(self, steps: int) -> None:
            self._done += steps
            for listener in _listeners:
                listener(self._what, self._done, self._all)

        def update(self, n: float | None = 1) -> bool | None:
            self._report(int(n or 0))
            shown: bool | None = super().update(n)
            return shown

        def __iter__(self) -> Iterator[Any]:
            for item in super().__iter__():
                yield item
                self._report(1)

    return Reporting
