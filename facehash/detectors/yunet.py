"""The default detector: YuNet, a small network run by OpenCV."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.detectors.nms import largest_first, non_max_suppression
from facehash.detectors.registry import Switch
from facehash.detectors.tiles import HINT, LONGER_SIDE, search_tiles
from facehash.detectors.turned import LARGE, SMALL, find_upright
from facehash.errors import InputError
from facehash.images.face import Face
from facehash.weights.files import find_weights

_SMALLEST_FACE = 8
_HUGE = 4  # relative to the photo; OpenCV finds boxes up to infinity in narrow strips
_LARGEST_FACE = 400
_COARSE = 320
_FINE = 1280
_NARROW = 640  # smallest shorter side of a photo more than twice as long, as long as
_LONGEST = 3840  # its longer side is not longer


class YuNet:
    """Finds faces with five landmarks; OpenCV's FaceDetectorYN.

    The network finds faces of about 10 to 400 pixels. A photo with a longer side over 400 pixels is
    therefore searched twice: reduced to a longer side of 320, where no face is too large, and of
    1280, where a face may be as small as 1/128 of the photo. `non_max_suppression` merges the
    results. Photos are never enlarged. A photo that is larger is also searched for small faces at a
    longer side of 3200, see `facehash.detectors.tiles`, and faces that may not stand upright are
    searched for again, see `facehash.detectors.turned`.

    Objects can be pickled; the network is loaded with the first photo.

    Args:
        score: Minimum confidence of a face, above 0 and at most 1. The default finds a face in
            every photo of our part of LFW; OpenCV's default of 0.9 misses one in a hundred.
        weights_dir: Folder searched first for weights.
        tiles: ``off`` does not search for small faces, as until version 0.2.0.
        turns: ``off`` does not search for turned faces, as until version 0.2.0.

    Raises:
        InputError: The score is out of range, or the weights are missing or damaged.

    Attributes:
        hint: Least score of a response without which a tile is not searched.

    Reference: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023.
    """

    def __init__(
        self,
        score: float = 0.7,
        weights_dir: Path | None = None,
        tiles: Switch = "auto",
        turns: Switch = "auto",
    ) -> None:
        if not 0 < score <= 1:
            raise InputError(f"the minimum score must be above 0 and at most 1, got {score}")
        self.score, self.tiles, self.turns = score, tiles, turns
        self.hint = HINT
        self._weights = find_weights("yunet", weights_dir)
        self._networks: dict[int, Any] = {}  # by the side of a window, or 0

    @property
    def identity(self) -> str:
        """Name, minimum score, scales, and the SHA-256 of the weights."""
        scales = f"scales={_COARSE}+{_FINE}"
        # With both off this is the identity of earlier versions, whose libraries still open.
        if self.tiles == "auto":
            scales += f",tiles={LONGER_SIDE}"
        if self.turns == "auto":
            scales += ",turns=8"
        return f"yunet:score={self.score:g},{scales},sha256={self._weights.sha256}"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find faces in a uint8 (height, width, 3) RGB photo, largest first."""
        faces = self._search(image)
        if self.turns == "off":
            return faces
        return find_upright(image, faces, self._search, self._detect)

    def _search(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find the faces of a photo that stand upright."""
        longer, shorter = max(image.shape[:2]), min(image.shape[:2])
        if longer <= _LARGEST_FACE:
            return largest_first(self._detect(image))
        fine = min(1.0, _FINE / longer)
        if self.tiles == "auto":  # a panorama would become too narrow
            fine = min(1.0, max(fine, min(_NARROW / shorter, _LONGEST / longer)))
        tiled = self.tiles == "auto" and fine < 1
        candidates = self._detect(image, fine, min(self.score, self.hint) if tiled else self.score)
        sure = [face for face in candidates if face.score >= self.score]
        faces = non_max_suppression([*self._detect(image, _COARSE / longer), *sure])
        if not tiled or not candidates:
            return faces
        return search_tiles(image, faces, candidates, fine, self._detect)

    def _detect(
        self, image: NDArray[np.uint8], scale: float = 1.0, score: float | None = None
    ) -> list[Face]:
        """Find faces in a photo reduced by `scale`; boxes are in pixels of the original photo.

        Args:
            image: uint8 (height, width, 3) RGB.
            scale: At most 1.
            score: Minimum confidence of a face; default: that of the detector.
        """
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        if min(small) < _SMALLEST_FACE:
            return []
        if small != (width, height):
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        # The two directions differ slightly, as sizes are rounded to whole pixels.
        stretch = np.array([width / small[0], height / small[1]])
        network = self._loaded(small)
        network.setScoreThreshold(self.score if score is None else score)
        _, rows = network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        found = [_face(row, stretch) for row in (() if rows is None else rows)]
        return [face for face in found if _is_inside(face, width, height)]

    def _loaded(self, size: tuple[int, int]) -> Any:
        """Return the network for pictures of a width and height.

        Windows have networks of their own, because OpenCV takes a while to change the size.
        """
        kind = size[0] if size[0] == size[1] and size[0] in (SMALL, LARGE) else 0
        network = self._networks.get(kind)
        if network is None:
            network = self._networks[kind] = cv2.FaceDetectorYN.create(
                *("onnx", np.fromfile(self._weights.path, np.uint8), np.empty(0, np.uint8)),
                input_size=size,
                score_threshold=self.score,
                nms_threshold=0.3,
                top_k=5000,
            )
        network.setInputSize(size)
        return network

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_networks": {}}


def _face(row: NDArray[np.float32], stretch: NDArray[np.float64]) -> Face:
    """Convert a row of OpenCV: box, five landmarks in the order of `Face`, score."""
    x, y, width, height = (row[:4].reshape(2, 2) * stretch).ravel().tolist()
    landmarks = (row[4:14].reshape(5, 2) * stretch).astype(np.float32)
    return Face((x, y, width, height), landmarks, float(row[14]))


def _is_inside(face: Face, width: int, height: int) -> bool:
    """Return whether a box is not much larger than a photo and has its center in the photo."""
    x, y, w, h = face.box
    if not (0 < w < _HUGE * max(width, height) and 0 < h < _HUGE * max(width, height)):
        return False
    return 0 <= x + w / 2 <= width and 0 <= y + h / 2 <= height
