"""Small faces of large photos, searched for in tiles.

A large photo is reduced before it is searched, so that its small faces become too small for the
network: a face of 55 pixels in a photo of 24 megapixels has 12 pixels left. So the photo is
searched again at up to 2.5 times the resolution, in overlapping tiles. The network hardly ever
misses a small face without any response, so a tile without a response, such as sky or a wall, is
skipped.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.detectors.nms import non_max_suppression
from facehash.images.face import Face

Image = NDArray[np.uint8]

LONGER_SIDE = 3200
"""Longer side in pixels of the photo that the tiles are cut from."""

HINT = 0.02
"""Score of a response in the reduced photo, without which a tile is not searched: the highest with
which hardly a face is lost, of those that `python -m benchmarks.photos.small_faces` tries."""

_SIDE = 960  # largest side of a tile
_OVERLAP = 80  # a smaller face lies in one tile as a whole
_SMALL = 28  # longer side of a response in the reduced photo, in pixels


def search_tiles(
    image: Image,
    faces: Sequence[Face],
    hints: Sequence[Face],
    reduction: float,
    search: Callable[[Image], list[Face]],
) -> list[Face]:
    """Search the tiles of a photo in which the network has responded to a small face.

    Args:
        image: uint8 (height, width, 3) RGB.
        faces: The faces found in the reduced photo, in pixels of `image`.
        hints: Responses of the network in the reduced photo, with any score from `HINT`.
        reduction: Size of the reduced photo relative to `image`, below 1.
        search: Finds the faces of a tile.

    Returns:
        The faces of both, one per face, largest first.
    """
    scale = min(1.0, LONGER_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    columns, rows = split(width), split(height)
    tiles = {
        (_nearest(columns, scale * (x + w / 2)), _nearest(rows, scale * (y + h / 2)))
        for x, y, w, h in (hint.box for hint in hints)
        if max(w, h) * reduction <= _SMALL
    }
    found = list(faces)
    for across, down in sorted(tiles):
        # In pixels of the photo.
        start = np.floor(np.array([across[0], down[0]]) / scale).astype(int)
        stop = np.ceil(np.array([across[1], down[1]]) / scale).astype(int)
        part = image[start[1] : stop[1], start[0] : stop[0]]
        size = [max(1, round(length * scale)) for length in part.shape[1::-1]]
        stretch = np.array(part.shape[1::-1]) / size
        if scale < 1:
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        found += [
            _placed(face, stretch, start)
            for face in search(np.ascontiguousarray(part))
            if max(face.box[2:]) <= _OVERLAP
        ]
    return non_max_suppression(found)


def split(length: int) -> list[tuple[int, int]]:
    """Return the first pixel of each tile along one side of a picture, and the one after its last.

    The tiles are of one size, at most 960 pixels, and overlap by at least 80.

    Example:
        >>> split(1600)
        [(0, 840), (760, 1600)]
        >>> split(500)
        [(0, 500)]
    """
    count = max(1, -(-(length - _OVERLAP) // (_SIDE - _OVERLAP)))
    side = -(-(length + (count - 1) * _OVERLAP) // count)
    starts = [round(i * (length - side) / max(1, count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]


def _nearest(tiles: Sequence[tuple[int, int]], position: float) -> tuple[int, int]:
    """Return the tile whose middle is nearest to a position."""
    return min(tiles, key=lambda tile: abs(sum(tile) / 2 - position))


def _placed(face: Face, stretch: NDArray[np.float64], start: NDArray[np.int_]) -> Face:
    """Return a face of a tile in pixels of the photo."""
    x, y, width, height = (np.reshape(face.box, (2, 2)) * stretch).ravel().tolist()
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = (landmarks * stretch + start).astype(np.float32)
    return Face((x + float(start[0]), y + float(start[1]), width, height), landmarks, face.score)
