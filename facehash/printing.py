"""What comes from files and people, made fit to be printed."""

from __future__ import annotations

import reprlib

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200


def printable(value: object) -> str:
    """Return text without what could move a terminal's cursor or change its colours."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(value))


def brief(value: object) -> str:
    """Return `repr` of a value, of much of it only a part.

    Lists that name each other over and over are small in a file and endless as text.
    """
    return _BRIEF.repr(value)
