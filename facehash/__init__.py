"""Learned face hashing: train DDH and DCBH, score their codes honestly, search photos with them.

Importing this package is instant and has no side effect; each room is imported by its own name,
for example ``from facehash.retrieval import metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from facehash.library.search import Library

__version__ = "0.1.0"


def open(directory: str | os.PathLike[str]) -> Library:
    """Open a photo library that ``facehash index`` made.

    Args:
        directory: The library.

    Returns:
        What can be asked, for example ``.search("aunt.jpg", k=5)``.

    Raises:
        facehash.library.database.LibraryError: No library, or an empty or damaged one.
    """
    from facehash.library.search import open_library

    return open_library(directory)
