"""The error that a user can cause, and the words in which it is told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong: a path, a file's content, a key, a value.

    The message is one line that names the thing, what is wrong with it, and what would be right.
    Commands print that line and exit with code 2; any other exception is a bug and keeps its
    traceback.
    """


class Interrupted(Exception):
    """Ctrl-C, with a sentence on what was kept and how to go on."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Name the nearest valid choice, to be appended to an error message.

    Args:
        name: What was received.
        choices: What would have been valid.

    Returns:
        ``" (did you mean 'epochs'?)"``, or all choices when none is near, or ``""`` without any.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (known: {', '.join(known)})" if known else ""
