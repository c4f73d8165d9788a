"""Text that comes from files and people, made fit for a terminal."""

from __future__ import annotations


def printable(value: object) -> str:
    """Return text without what could move a terminal's cursor or change its colours."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(value))
