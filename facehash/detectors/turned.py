"""Faces that do not stand upright: scans lying on their side, photos upside down, tilted heads.

A detector trained on upright faces also finds some turned ones, with a lower score and with the
landmarks of an upright face. A crop aligned by these landmarks stays turned, and embedders map such
crops of all people to almost the same vector. So faces that look turned are searched for again in
turned pictures, and the direction with the highest score counts. The landmarks are returned in
pixels of the photo, and the alignment by landmarks turns the crop upright.

The score of a face falls with its tilt, by 0.02 at 30 degrees and by 0.06 at 45. The landmarks of a
face of fewer than about 100 pixels hardly follow: at 30 degrees most show less than 15.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.detectors.nms import non_max_suppression
from facehash.images.alignment import tilt
from facehash.images.face import Face

Image = NDArray[np.uint8]
Search = Callable[[Image], list[Face]]

SURE = 0.9
"""Upright faces have this score. On LFW, 99 of 100 do, and one in ten that are upside down."""

SMALL, LARGE = 64, 128
"""Sides in pixels of the windows around one face: to find its direction, and its landmarks."""

_UNTURNED = 0.87  # least score of a face in a photo that is not searched in other orientations
_BESIDE = 0.8  # lower than SURE: beside a sure face few lie on their side
_INVERTED = 0.88  # most faces upside down have a lower score
_TILTED = 0.89  # least score of an upright face, less what its landmarks' tilt costs
_DEGREE = 0.006  # what a degree of that tilt costs
_BETTER = 0.01  # by which a face in a turned photo must have a higher score
_CLEARER = 0.003  # and in a turned window
_CERTAIN = 0.02  # and in one turned by more than a quarter
_QUARTER = 90.0
_UNSEEN = 0.02  # what a face loses that is not found in a window
_FOUND = 0.8  # score of a face that is found only in a turned photo
_PHOTO = 640  # longer side of a photo in which the direction is looked for
_FACE = 9 / 16  # largest longer side of the face relative to that of a window
_COARSE, _FINE = 45.0, 22.5  # degrees between the directions that are tried
_UPRIGHT = 2.0  # degrees of tilt that say nothing about its direction
_MOST = 16  # faces of a photo that are tried again, those with the lowest scores first


def find_upright(image: Image, faces: Sequence[Face], search: Search, window: Search) -> list[Face]:
    """Search again for faces that may not stand upright.

    * If no face has a score of at least 0.87, the photo is searched in the other three
      orientations, reduced to 640 pixels. If one of them has a face with a higher score, the photo
      is searched in that orientation in full, and the results are merged.
    * Each face with a low score (below `SURE`, or below 0.8 beside a sure one) is searched for in
      small windows around it in eight directions, then 22.5 degrees to either side of the best.
    * Each other face with a tilt and a score below that of most upright faces is searched for 22.5
      and 45 degrees in the direction of the tilt, and with a score below 0.88 also upside down.
    * A face with another direction is searched for in a larger window, where landmarks are more
      accurate.

    Beside a sure face, those that the edge of the photo cuts off are not searched for: they have a
    low score in any direction.

    Args:
        image: uint8 (height, width, 3) RGB.
        faces: The faces found in it.
        search: Finds the faces of a photo of any size.
        window: Finds the faces of a window of 64 x 64 or 128 x 128 pixels.

    Returns:
        The faces, largest first, with landmarks in pixels of `image`.
    """
    surest = max((face.score for face in faces), default=0.0)
    if surest < _UNTURNED:
        faces = _search_turned(image, faces, search)
    limit, others = SURE, list(faces)
    if surest >= SURE:
        limit, others = _BESIDE, [face for face in faces if _is_whole(face, image)]
    least = max(limit, _INVERTED)
    doubtful = [face for face in others if face.score < least or _looks_tilted(face)]
    doubtful.sort(key=lambda face: face.score)
    again = {id(face) for face in doubtful[:_MOST]}
    return non_max_suppression(
        [_turn_upright(image, face, window, limit) if id(face) in again else face for face in faces]
    )


def _tilt(face: Face) -> float:
    return 0.0 if face.landmarks is None else tilt(face.landmarks)


def _is_whole(face: Face, image: Image) -> bool:
    """Return whether a face is not cut off by the edge of a photo, which lowers its score."""
    x, y, width, height = face.box
    return x >= 0 and y >= 0 and x + width <= image.shape[1] and y + height <= image.shape[0]


def _looks_tilted(face: Face) -> bool:
    degrees = abs((_tilt(face) + 45) % 90 - 45)
    return degrees > _UPRIGHT and face.score - _DEGREE * degrees < _TILTED


def _search_turned(image: Image, faces: Sequence[Face], search: Search) -> list[Face]:
    """Search a photo in the orientation in which the surest face is found."""
    scale = min(1.0, _PHOTO / max(image.shape[:2]))
    small = image
    if scale < 1:
        size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    best, chosen = max([_FOUND, *(face.score + _BETTER for face in faces)]), 0
    for turns in (1, 2, 3):
        for face in search(np.ascontiguousarray(np.rot90(small, turns))):
            if face.score > best:
                best, chosen = face.score, turns
    if not chosen:
        return list(faces)
    found = search(np.ascontiguousarray(np.rot90(image, chosen)))
    matrix = _quarter_turns(chosen, image.shape[1], image.shape[0])
    return non_max_suppression([*faces, *(_map_back(face, matrix) for face in found)])


def _quarter_turns(turns: int, width: int, height: int) -> NDArray[np.float64]:
    """Return (2, 3), from pixels of a photo to those of the photo turned counterclockwise."""
    if turns == 1:
        return np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width - 1.0]])
    if turns == 2:
        return np.array([[-1.0, 0.0, width - 1.0], [0.0, -1.0, height - 1.0]])
    return np.array([[0.0, -1.0, height - 1.0], [1.0, 0.0, 0.0]])


def _turn_upright(image: Image, face: Face, window: Search, limit: float) -> Face:
    """Return a face as it is found in the best of several turned windows, or unchanged."""
    first = 90.0 * round(_tilt(face) / 90)
    direction = _Best(_View(image, face, SMALL, window), face, first)
    if face.score >= limit:
        if _looks_tilted(face):
            step = float(np.copysign(_FINE, _beyond(face, first)))
            direction.attempt(first + step)
            direction.attempt(first + 2 * step)
        if face.score < _INVERTED and direction.score < SURE:
            direction.attempt(first + 180)
    elif direction.score < SURE:
        for turned in np.arange(first + _COARSE, first + 360, _COARSE).tolist():
            direction.attempt(turned)
        start = direction.angle
        tilted = _beyond(direction.face, start)
        for step in (_FINE, -_FINE):
            if step * tilted > 0 or abs(tilted) < _UPRIGHT:
                direction.attempt(start + step)
    if direction.angle == first:
        return face
    found = _View(image, face, LARGE, window).search(direction.angle)
    return found if found and found.score > face.score - _UNSEEN else face


def _beyond(face: Face, angle: float) -> float:
    """Return the tilt of a face relative to a direction, in degrees from -180 to 180."""
    return (_tilt(face) - angle + 180) % 360 - 180


class _Best:
    """The direction in which a face has the highest score.

    Scores depend on the size of a face, so that of the photo does not count, unless the face is not
    found in a window.
    """

    def __init__(self, view: "_View", face: Face, angle: float) -> None:
        self._view, self._first, self.angle = view, angle, angle
        found = view.search(angle)
        self.face, self.score = face, found.score if found else face.score - _UNSEEN

    def attempt(self, turned: float) -> None:
        """Search in another direction, and keep it if it is better."""
        found = self._view.search(turned)
        far = abs((turned - self._first + 180) % 360 - 180) > _QUARTER
        if found and found.score > self.score + (_CERTAIN if far else _CLEARER):
            self.face, self.score, self.angle = found, found.score, turned


class _View:
    """A face with its surroundings, which can be turned around the face's middle."""

    def __init__(self, image: Image, face: Face, side: int, window: Search) -> None:
        """Cut the face for windows of a side, reduced to at most 9/16 of it."""
        x, y, width, height = face.box
        center = np.array([x + width / 2, y + height / 2])
        factor = min(1.0, _FACE * side / max(width, height))
        reach = side / np.sqrt(2) / factor  # to the corners of the window
        limit = np.array(image.shape[1::-1])
        start = np.clip(np.floor(center - reach), 0, limit - 1).astype(int)
        stop = np.clip(np.ceil(center + reach), start + 1, limit).astype(int)
        region = image[start[1] : stop[1], start[0] : stop[0]]
        if factor < 1:
            size = np.maximum(1, np.round((stop - start) * factor)).astype(int)
            region = np.asarray(cv2.resize(region, size.tolist(), interpolation=cv2.INTER_AREA))
        across, down = np.array(region.shape[1::-1]) / (stop - start)
        # The center of a pixel lies half a pixel from its edge, at both scales.
        shift = (0.5 - start) * (across, down) - 0.5
        self._side, self._window, self._region = side, window, region
        # (3, 3), from pixels of the photo to those of the region.
        self._scale = np.array([[across, 0, shift[0]], [0, down, shift[1]], [0, 0, 1.0]])
        self._middle = self._scale[:2, :2] @ center + self._scale[:2, 2]

    def search(self, turned: float) -> Face | None:
        """Turn counterclockwise by degrees; return the surest face at the middle, or None."""
        side = self._side
        x, y = self._middle.tolist()
        matrix = np.asarray(cv2.getRotationMatrix2D((x, y), turned, 1.0), np.float64)
        matrix[:, 2] += side / 2 - self._middle
        drawn = cv2.warpAffine(self._region, matrix, (side, side), flags=cv2.INTER_LINEAR)
        best: Face | None = None
        for found in self._window(np.asarray(drawn, np.uint8)):
            x, y, width, height = found.box
            off = np.hypot(x + width / 2 - side / 2, y + height / 2 - side / 2)
            if off < max(width, height) / 2 and (best is None or found.score > best.score):
                best = found
        return _map_back(best, matrix @ self._scale) if best else None


def _map_back(face: Face, matrix: NDArray[np.float64]) -> Face:
    """Return a face found in a turned picture in pixels of the photo.

    Args:
        face: With landmarks.
        matrix: (2, 3), from pixels of the photo to pixels of the picture.
    """
    inverse = np.linalg.inv(matrix[:, :2])

    def back(points: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray((points - matrix[:, 2]) @ inverse.T, np.float64)

    x, y, width, height = face.box
    # Edges of pixels, whose centers the matrix maps.
    corner = np.array([[x, y], [x + width, y + height]]) - 0.5
    middle = back(corner).mean(0) + 0.5
    stretch = np.sqrt(abs(np.linalg.det(inverse)))
    size = stretch * np.array([width, height])
    if abs(inverse[0, 1]) > abs(inverse[0, 0]):  # nearer to lying than to standing
        size = size[::-1]
    box = (*(middle - size / 2).tolist(), *size.tolist())
    landmarks = None
    if face.landmarks is not None:
        landmarks = back(face.landmarks).astype(np.float32)
    return Face(box, landmarks, face.score)
