"""The faces of a library as arrays, for suggestions and clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import SMALLEST
from facehash.images.quality import stored_width
from facehash.library.people.ignore import ignored_faces
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.rows import read_rows
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import Ids, Rows, Space

NOBODY = -1


@dataclass(frozen=True)
class ComparedFaces:
    """All faces with a vector or a code, in the order of their ids."""

    ids: Ids  # int64 (n,)
    rows: Rows  # (n, width)
    space: Space
    people: Ids  # int64 (n,), ids of people, `NOBODY` without a name
    photos: Ids  # int64 (n,), ids of photos; negative in videos, which show a person repeatedly
    has_detail: NDArray[np.bool_]  # whether thresholds and probabilities hold for the face
    is_ignored: NDArray[np.bool_]

    @classmethod
    def read(cls, store: Store, settings: Settings) -> "ComparedFaces":
        """Read all faces.

        Raises:
            DamagedLibraryError: A value has the wrong type.
        """
        space = settings.space
        ids, rows = read_rows(store, "code" if settings.metric == "hamming" else "embedding", space)
        stored = store.database.rows(
            "SELECT id, coalesce(person_id, -1), "
            "CASE WHEN seconds IS NULL THEN photo_id ELSE -1 END, quality, score "
            "FROM faces ORDER BY id"
        )
        try:
            columns = np.array([row[:3] for row in stored], np.int64).reshape(-1, 3)
            widths = [stored_width(quality, score, settings.side) for *_, quality, score in stored]
        except (TypeError, ValueError, OverflowError) as error:
            raise DamagedLibraryError(
                f"{store.directory}: the records of its faces are damaged"
            ) from error
        position = np.searchsorted(columns[:, 0], ids)
        ignored = np.array(sorted(ignored_faces(store)), np.int64)
        return cls(
            ids,
            rows,
            space,
            columns[position, 1],
            columns[position, 2],
            np.array(widths)[position] >= SMALLEST,
            np.isin(ids, ignored),
        )

    def unnamed(self) -> NDArray[np.int64]:
        """Return the positions of the faces without a name that have enough detail."""
        return np.flatnonzero((self.people == NOBODY) & self.has_detail)
