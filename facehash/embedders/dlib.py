"""The embedder of dlib and of the face_recognition package. Needs the extra ``dlib``."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.embedders.base import check_faces
from facehash.errors import InputError
from facehash.images.alignment import Crop
from facehash.vectors import Metric, check_finite
from facehash.weights.files import find_weights


class DlibResNet:
    """Embeds faces as 128-dimensional vectors with dlib's ResNet.

    Two faces of one person are usually nearer than 0.6. Faces are aligned by YuNet's landmarks,
    with a template that imitates dlib's alignment. Objects can be pickled; the network is loaded
    with the first face.

    Args:
        weights_dir: Folder searched for the weights before the package that ships them.

    Raises:
        InputError: dlib or the weights are missing, or the weights are damaged.

    Reference: King, "High quality face recognition with deep metric learning", 2017.
    """

    metric: Metric = "euclidean"
    light = True
    dimension = 128
    side = 150
    crop: Crop = "dlib150"

    def __init__(self, weights_dir: Path | None = None) -> None:
        self._weights = find_weights("dlib", weights_dir)
        _dlib()
        self._network: Any = None

    @property
    def identity(self) -> str:
        """Name and the SHA-256 of the weights."""
        return f"dlib:sha256={self._weights.sha256}"

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed uint8 (n, 150, 150, 3) RGB faces as float32 (n, 128)."""
        check_faces(faces, self.side)
        if self._network is None:
            self._network = _dlib().face_recognition_model_v1(str(self._weights.path))
        # Copied one by one: dlib accepts writable arrays only.
        rows = [self._network.compute_face_descriptor(np.array(face)) for face in faces]
        vectors = np.array(rows, np.float32).reshape(len(faces), self.dimension)
        check_finite(vectors, "dlib")
        return vectors

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise InputError(
            "the embedder 'dlib' needs an optional package: pip install 'facehash[dlib]'"
        ) from error
    return dlib
