"""Collapsing the copies of a photo in other sizes into one hit.

Two hits are of one photo if the photos have the same proportions, the faces the same place in them
and nearly the same vector or code, and the photos themselves look the same, see
`facehash.images.sketch`. Photos of one moment, even of the same pose, are not copies.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facehash.images.read import UnreadableImageError
from facehash.images.sketch import are_copies, sketch
from facehash.library.query.results import Hit
from facehash.library.storage.store import Store

# A small copy gives a box and a vector that differ a little; these only limit which photos are
# compared. Half of the pairs of one person are within the cosine distance.
_MOST_COSINE = 0.3
_MOST_BITS = 0.25
_MOST_SHIFT = 0.1
_MOST_STRETCH = 0.02

Sketches = dict[Path, NDArray[np.uint8] | None]
_AnyMetric = TypeVar("_AnyMetric")


@dataclass(frozen=True)
class _Place:
    """A face in its photo."""

    photo: int
    proportion: float  # width by height of the photo
    box: NDArray[np.float64]  # x, y, width, height relative to the photo
    vector: NDArray[np.float64] | None  # of length 1
    code: NDArray[np.uint8] | None  # bits

    def may_be(self, other: "_Place") -> bool:
        """Return whether both may be one face of copies of one photo."""
        if self.photo == other.photo:
            return False
        stretch = abs(self.proportion / other.proportion - 1)
        if stretch > _MOST_STRETCH or np.abs(self.box - other.box).max() > _MOST_SHIFT:
            return False
        if self.vector is not None and other.vector is not None:
            return bool(1 - self.vector @ other.vector <= _MOST_COSINE)
        if self.code is not None and other.code is not None:
            return bool((self.code != other.code).mean() <= _MOST_BITS)
        return True


def find_collapsed(
    store: Store, k: int, find: Callable[[int], tuple[_AnyMetric, list[tuple[Hit, ...]]]]
) -> tuple[_AnyMetric, list[tuple[Hit, ...]]]:
    """Search with the copies of a photo as one hit, and search on until there are k hits.

    Args:
        store: The library.
        k: Number of hits per query face.
        find: Returns the metric, and this many hits of each query face.
    """
    sketches: Sketches = {}
    wanted, total = 2 * k, store.database.value("SELECT count(*) FROM faces")
    while True:
        metric, found = find(wanted)
        collapsed = [collapse(store, hits, sketches) for hits in found]
        enough = all(
            len(few) >= k or len(hits) < wanted for few, hits in zip(collapsed, found, strict=True)
        )
        if enough or wanted >= total:
            return metric, [hits[:k] for hits in collapsed]
        wanted *= 4


def collapse(store: Store, hits: Sequence[Hit], known: Sketches) -> tuple[Hit, ...]:
    """Return hits without those whose photo is a copy of that of a nearer hit.

    Args:
        store: The library.
        hits: The hits of one query face, nearest first.
        known: Sketches of photos by path, to which this function adds; start with an empty one.

    Returns:
        The hits that remain, with new ranks; `Hit.resized` has the files of the others.
    """
    kept: list[tuple[Hit, _Place | None]] = []
    for hit in hits:
        place = _place(store, hit)
        for number, (other, there) in enumerate(kept):
            if place and there and place.may_be(there) and _same_photo(hit, other, known):
                files = (*other.resized, hit.path, *hit.copies)
                kept[number] = dataclasses.replace(other, resized=files), there
                break
        else:
            kept.append((dataclasses.replace(hit, rank=len(kept) + 1), place))
    return tuple(hit for hit, _ in kept)


def _place(store: Store, hit: Hit) -> _Place | None:
    query = (
        "SELECT photo_id, photos.width, photos.height, embedding, code FROM faces "
        "JOIN photos ON photos.id = photo_id WHERE faces.id = ?"
    )
    for photo, width, height, embedding, code in store.database.rows(query, (hit.face_id,)):
        if not width or not height or hit.seconds is not None:
            return None
        box = np.array(hit.box) / [width, height, width, height]
        vector = None
        if isinstance(embedding, bytes):
            vector = np.frombuffer(embedding, "<f4").astype(np.float64)
            vector /= max(float(np.linalg.norm(vector)), 1e-12)
        bits = None
        if isinstance(code, bytes):
            bits = np.unpackbits(np.frombuffer(code, np.uint8))
        return _Place(photo, width / height, box, vector, bits)
    return None


def _same_photo(hit: Hit, other: Hit, known: Sketches) -> bool:
    first, second = (_sketch(one, known) for one in (hit, other))
    return first is not None and second is not None and are_copies(first, second)


def _sketch(hit: Hit, known: Sketches) -> NDArray[np.uint8] | None:
    """Return the sketch of a photo, None if no file of it can be read."""
    if hit.path not in known:
        known[hit.path] = None
        for path in (hit.path, *hit.copies):
            try:
                known[hit.path] = sketch(path)
                break
            except UnreadableImageError:
                continue
    return known[hit.path]
