"""Faces that do not stand upright: scans lying on their side, photos upside down, tilted heads.

A detector trained on upright faces also finds some turned ones, with a lower score and with the
landmarks of an upright face. A crop aligned by these landmarks stays turned, and embedders map such
crops of all people to almost the same vector. So faces without a high score are searched for again
in turned pictures, and the direction with the highest score counts. The landmarks are returned in
pixels of the photo, and the alignment by landmarks turns the crop upright.
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

WINDOW = 128
"""Side in pixels of a window around one face."""

_UNSURE = 0.85  # of a face in a photo that has sure ones
_TILTED = 7.0  # degrees; the landmarks follow only a third of a rotation by 30 degrees
_BETTER = 0.01  # by which a turned face must have a higher score
_FOUND = 0.8  # score of a face that is found only in a turned photo
_PHOTO = 640  # longer side of a photo in which the direction is looked for
_FACE = 48  # largest longer side of the face in it
_STEP = 30.0  # degrees between the quarter turns that are tried
_MOST = 16  # faces of a photo that are tried again, those with the lowest scores first


def find_upright(image: Image, faces: Sequence[Face], search: Search, window: Search) -> list[Face]:
    """Search again for faces that may not stand upright.

    * If no face has a score of at least `SURE`, the photo is searched in the other three
      orientations, reduced to 640 pixels. If one of them has a face with a higher score, the photo
      is searched in that orientation in full, and the results are merged.
    * Each face with a low score (below `SURE`, or below 0.85 beside a sure one), or with tilted
      landmarks, is searched for in small windows
      around it, turned by quarter turns and then by 30 degrees to either side.

    Args:
        image: uint8 (height, width, 3) RGB.
        faces: The faces found in it.
        search: Finds the faces of a photo of any size.
        window: Finds the faces of a window of 128 x 128 pixels.

    Returns:
        The faces, largest first, with landmarks in pixels of `image`.
    """
    limit = _UNSURE
    if not any(face.score >= SURE for face in faces):
        faces, limit = _search_turned(image, faces, search), SURE
    doubtful = [face for face in faces if face.score < limit or _is_tilted(face)]
    doubtful.sort(key=lambda face: face.score)
    again = {id(face) for face in doubtful[:_MOST]}
    return non_max_suppression(
        [_turn_upright(image, face, window) if id(face) in again else face for face in faces]
    )


def _tilt(face: Face) -> float:
    return 0.0 if face.landmarks is None else tilt(face.landmarks)


def _is_tilted(face: Face) -> bool:
    return abs((_tilt(face) + 45) % 90 - 45) > _TILTED


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


def _turn_upright(image: Image, face: Face, window: Search) -> Face:
    """Return a face as it is found in the best of several turned windows, or unchanged."""
    region, scale, middle = _region(image, face)
    # Counterclockwise, as OpenCV turns pictures.
    best, angle = face, 90.0 * round(_tilt(face) / 90)

    def attempt(turned: float) -> None:
        nonlocal best, angle
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, turned, 1.0), np.float64)
        matrix[:, 2] += WINDOW / 2 - np.array(middle)
        drawn = cv2.warpAffine(region, matrix, (WINDOW, WINDOW), flags=cv2.INTER_LINEAR)
        for found in window(np.asarray(drawn, np.uint8)):
            x, y, width, height = found.box
            off = np.hypot(x + width / 2 - WINDOW / 2, y + height / 2 - WINDOW / 2)
            if off < max(width, height) / 2 and found.score > best.score + _BETTER:
                best = _map_back(found, matrix @ scale)
                angle = turned

    if face.score < SURE:
        for quarter in (angle + 90, angle + 180, angle + 270):
            attempt(quarter)
    start = angle
    off = (_tilt(best) - start + 180) % 360 - 180
    for step in (_STEP, -_STEP):
        if step * off >= 0 or abs(off) < _TILTED:
            attempt(start + step)
    return best


def _region(image: Image, face: Face) -> tuple[Image, NDArray[np.float64], tuple[float, float]]:
    """Cut a face with its surroundings, reduced to at most `_FACE` pixels.

    Returns:
        The region; (3, 3) from pixels of the photo to pixels of the region; the face's middle.
    """
    x, y, width, height = face.box
    center = np.array([x + width / 2, y + height / 2])
    longer = max(width, height)
    factor = min(1.0, _FACE / longer)
    reach = WINDOW / np.sqrt(2) / factor  # to the corners of the window
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
    matrix = np.array([[across, 0, shift[0]], [0, down, shift[1]], [0, 0, 1.0]])
    middle = matrix[:2, :2] @ center + matrix[:2, 2]
    return region, matrix, (float(middle[0]), float(middle[1]))


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
