"""All vectors or codes of a library as one array."""

import numpy as np

from facehash.library.storage.store import Column, Store
from facehash.vectors import Ids, Rows, Space


def read_rows(store: Store, column: Column, space: Space) -> tuple[Ids, Rows]:
    """Read the vectors or the codes of all faces, as they are stored.

    Args:
        store: The library.
        column: Which rows; faces without one are skipped.
        space: Their space.

    Returns:
        Ids int64 (n,), increasing, and rows (n, width) of the space's dtype; n may be 0.

    Raises:
        DamagedLibraryError: A row has the wrong length.
    """
    empty = np.zeros(0, np.int64), np.zeros((0, space.width), space.dtype)
    ids, rows = zip(empty, *store.rows(column, space), strict=True)
    return np.concatenate(ids), np.concatenate(rows)
