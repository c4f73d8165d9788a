"""What comes from files and people, made fit to be printed."""

from __future__ import annotations

import reprlib
import unicodedata

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200


def printable(value: object) -> str:
    """Return text without what could move a terminal's cursor or change its colours.

    Spaces of every width stay: names of files have them, and could not be copied otherwise.
    """
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else _REPLACEMENT
        for one in str(value)
    )


def brief(value: object) -> str:
    """Return `repr` of a value, of much of it only a part.

    Lists that name each other over and over are small in a file and endless as text.
    """
    return _BRIEF.repr(value)
