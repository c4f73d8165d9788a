"""Learned face hashing: train DDH and DCBH, score their codes, search photos with them.

Importing this package is instant and has no side effect. Import its modules by name, for example
``from facehash.retrieval import metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from facehash.library.query.library import Library

__version__ = "0.2.0"


def open(
    directory: str | os.PathLike[str], *, weights_dir: str | os.PathLike[str] | None = None
) -> Library:
    """Open a photo library that ``facehash index`` made.

    Args:
        directory: The library.
        weights_dir: Folder searched first for pretrained weights.

    Returns:
        The library, to be closed after use or used in a ``with`` statement.

    Raises:
        facehash.library.storage.database.LibraryError: The directory is not a library, or is empty
            or damaged.

    Example:
        >>> import facehash
        >>> with facehash.open("lib") as library:
        ...     for result in library.search("aunt.png", k=1):
        ...         for hit in result.hits:
        ...             print(f"{hit.distance:.1f} {hit.name} {hit.path.name}")
        0.0 Ann holiday.png
    """
    from pathlib import Path

    from facehash.library.query.library import open_library
    from facehash.pipeline import pipelines

    folder = None if weights_dir is None else Path(weights_dir)
    return open_library(directory, make_pipeline=pipelines(folder))
