"""The detector of many older notebooks: OpenCV's Haar cascade."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.detectors.nms import largest_first
from facehash.errors import InputError
from facehash.images.face import Face

Keep = Literal["all", "first", "largest"]

_CASCADE = "haarcascade_frontalface_default.xml"
_LONGER_SIDE = 1000
_BORDER = 200
_SCALE_STEP = 1.2
_NEIGHBOURS = 5


class Haar:
    """Finds upright frontal faces, without landmarks, with the settings of a classic notebook.

    The photo is resized to a longer side of 1000 pixels and surrounded by 200 pixels of its mean
    color, so that faces at the edge are found. It is searched at scales 1.2 apart, and a box counts
    if at least 5 neighboring boxes confirm it. The cascade ships with OpenCV.

    Objects can be pickled; the cascade is loaded with the first photo.

    Args:
        keep: ``all`` boxes; the ``first`` in the arbitrary order of the cascade, as the notebook
            does; or the ``largest``.

    Raises:
        InputError: The installed OpenCV has no cascades.

    Reference: Viola, Jones, "Rapid object detection using a boosted cascade of simple features",
    CVPR 2001.
    """

    def __init__(self, keep: Keep = "all") -> None:
        self.keep = keep
        self._file = _find_cascade()
        self._cascade: Any = None

    @property
    def identity(self) -> str:
        """Name, settings, and the SHA-256 of the cascade."""
        sha256 = hashlib.sha256(self._file.read_bytes()).hexdigest()
        settings = f"side={_LONGER_SIDE},border={_BORDER},scale={_SCALE_STEP},n={_NEIGHBOURS}"
        return f"haar:keep={self.keep},{settings},sha256={sha256}"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find faces in a uint8 (height, width, 3) RGB photo, largest first; every score is 1."""
        scale = _LONGER_SIDE / max(image.shape[:2])
        size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(grey, size, interpolation=method)
        mean = round(float(grey.mean()))
        grey = cv2.copyMakeBorder(
            grey, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_CONSTANT, value=mean
        )
        boxes = np.array(self._loaded().detectMultiScale(grey, _SCALE_STEP, _NEIGHBOURS), float)
        corners = (boxes.reshape(-1, 2, 2) - [[_BORDER, _BORDER], [0, 0]]) / scale
        faces = [Face((*corner, *extent), None, 1.0) for corner, extent in corners.tolist()]
        if self.keep == "first":
            return faces[:1]
        return largest_first(faces)[: 1 if self.keep == "largest" else None]

    def _loaded(self) -> Any:
        if self._cascade is None:
            self._cascade = cv2.CascadeClassifier(str(self._file))
        return self._cascade

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cascade": None}


def _find_cascade() -> Path:
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder) / _CASCADE
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise InputError(
            f"the detector 'haar' needs the Haar cascades, which OpenCV {cv2.__version__} does not "
            "include; try: pip install 'opencv-python-headless<5', or use the detector 'yunet'"
        )
    return path
