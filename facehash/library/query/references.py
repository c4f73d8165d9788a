"""Several photos of one person as one query."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import threshold_of
from facehash.errors import InputError
from facehash.images.read import read_photo
from facehash.index.exact import ExactIndex
from facehash.library.query.faces import QueryFace, choose
from facehash.library.query.library import Library
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.settings import Settings
from facehash.pipeline import NoFaceError
from facehash.printing import printable
from facehash.vectors import unit_rows

log = logging.getLogger(__name__)


def search_as_one(
    library: Library,
    photos: Sequence[Path],
    k: int = 10,
    *,
    face: int | None = None,
    max_distance: float | None = None,
    collapse_copies: bool = False,
) -> QueryResult:
    """Find the k faces of a library that are nearest to several photos of one person.

    The query is the mean of the vectors, each of length 1 where the cosine distance is used. It
    ranks better than the distance to the nearest reference, with fewer false matches
    (`python -m benchmarks.search.references`). Where vectors are compared by the cosine distance,
    the distance of a hit is the mean of its distances to the references, for which the threshold
    holds too. Codes of a run are averaged by their projections, or bit by bit by majority.

    Logs a warning if the references look like several people, and for photos with several faces.

    Args:
        library: The library.
        photos: At least one picture file.
        k: Number of faces to find.
        face: The face of each photo; 1 is the largest. Default: the largest.
        max_distance: Exclude faces that are farther.
        collapse_copies: Show the copies of a photo in other sizes as one hit.

    Raises:
        NoFaceError: A photo has no face.
        InputError: k is below 1, a photo has no such face, or it cannot be read.
        LibraryError: The library is damaged, or its detector or embedder has changed.

    Example:
        >>> photos = [Path("aunt.png"), Path("holiday.png")]
        >>> search_as_one(library, photos, k=1).hits[0].name
        'Ann'
    """
    faces = [_face(library, path, face) for path in photos]
    _check_alike(photos, faces, library.settings)
    rows = np.stack([one.row for one in faces])
    is_cosine = rows.dtype != np.uint8 and library.settings.metric == "cosine"
    row = _majority(rows) if rows.dtype == np.uint8 else _mean(rows, is_cosine)
    # Of unit vectors, sum_i (1 - r_i x) / n = 1 - length * (1 - d), d the distance to their mean.
    length = 1.0
    if is_cosine and library.by == "embedding":
        length = float(np.linalg.norm(unit_rows(rows).astype(np.float64).mean(0)))
        max_distance = None if max_distance is None else 1 - (1 - max_distance) / length
    reason = next((one.no_verdict for one in faces if one.no_verdict), None)
    query = dataclasses.replace(faces[0], row=row, no_verdict=reason)
    [result] = library.search_faces(
        [query], k, max_distance=max_distance, collapse_copies=collapse_copies, query=photos[0]
    )
    hits = tuple(_moved(hit, 1 - length * (1 - hit.distance), library.threshold, length)
                 for hit in result.hits)  # fmt: skip
    return dataclasses.replace(result, hits=hits, references=tuple(photos))


def _face(library: Library, path: Path, number: int | None) -> QueryFace:
    """Return the face of a reference that is searched for."""
    photo = read_photo(path)
    if photo.damage:
        log.warning(f"{path}: {photo.damage}; the rest is searched for")
    cropper = library.query_pipeline().cropper
    found = cropper.find(photo.pixels)
    if not found:
        raise NoFaceError(f"{path}: no face found")
    if number is None and len(found) > 1:
        log.warning(f"{path}: has {len(found)} faces, the largest is taken; --face chooses another")
    [index] = choose(len(found), number or 1, path)
    chosen = found[index : index + 1]
    [face] = library.prepare(chosen, cropper.crop_faces(photo.pixels, chosen), photo.scale)
    return dataclasses.replace(face, face=index + 1)


def _mean(rows: NDArray[Any], of_unit_length: bool) -> NDArray[np.float32]:
    """Return the mean of vectors or projections, float32 (width,)."""
    mean = (unit_rows(rows) if of_unit_length else rows).astype(np.float64).mean(0)
    if not np.linalg.norm(mean) > 1e-6:
        raise InputError("the photos have nothing in common; give photos of one person")
    return np.asarray(mean, np.float32)


def _majority(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the code of which each bit is that of most codes, and in a tie that of the first."""
    bits = np.unpackbits(codes, axis=1).astype(np.int64)
    votes = 2 * bits.sum(0) - len(codes)
    return np.packbits(np.where(votes == 0, bits[0], votes > 0))


def _moved(hit: Hit, distance: float, threshold: float | None, length: float) -> Hit:
    if length == 1:
        return hit
    same = None if threshold is None or hit.no_verdict else distance <= threshold
    return dataclasses.replace(hit, distance=max(0.0, distance), within_threshold=same)


def _check_alike(photos: Sequence[Path], faces: Sequence[QueryFace], settings: Settings) -> None:
    """Log a warning if the references look like several people.

    References count as one person if a chain of distances within the threshold leads from one to
    the other. Faces for which the threshold does not hold are not judged.
    """
    known = threshold_of(settings.embedder_identity)
    judged = [i for i, one in enumerate(faces) if one.no_verdict is None]
    if known is None or len(judged) < 2:
        return
    rows = np.stack([faces[i].row for i in judged])
    index = ExactIndex.build(rows, np.arange(len(judged), dtype=np.int64), settings.space)
    found = index.search(rows, len(judged))
    groups = [{i} for i in range(len(judged))]
    for i, (distances, ids) in enumerate(zip(found.distances, found.ids, strict=True)):
        for j in ids[distances <= known.distance].tolist():
            joined = next(g for g in groups if i in g) | next(g for g in groups if j in g)
            groups = [*(group for group in groups if not group & joined), joined]
    if len(groups) > 1:
        parts = [", ".join(photos[judged[i]].name for i in sorted(group)) for group in groups]
        log.warning(
            f"the photos look like {len(groups)} people, so the hits may be of neither: "
            f"{printable(' | '.join(sorted(parts)))}"
        )
