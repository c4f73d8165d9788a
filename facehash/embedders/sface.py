"""The default embedder: SFace."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.embedders.base import check_faces
from facehash.embedders.sface_engines import Feature, load_feature
from facehash.images.alignment import Crop
from facehash.vectors import Metric, check_finite, unit_rows
from facehash.weights.files import find_weights


class SFace:
    """Embeds faces as 128-dimensional unit vectors, like OpenCV's FaceRecognizerSF.

    Objects can be pickled; the network is loaded with the first face.

    Args:
        weights_dir: Folder searched first for the weights.

    Raises:
        InputError: The weights are missing or damaged.

    Reference: Zhong, Deng, Hu, Zhao, Li, Wen, "SFace: Sigmoid-Constrained Hypersphere Loss for
    Robust Face Recognition", IEEE TIP 2021.
    """

    metric: Metric = "cosine"
    dimension = 128
    side = 112
    crop: Crop = "arcface112"
    light = True

    def __init__(self, weights_dir: Path | None = None) -> None:
        self._weights = find_weights("sface", weights_dir)
        self._feature: Feature | None = None

    @property
    def identity(self) -> str:
        """Name and the SHA-256 of the weights."""
        return f"sface:sha256={self._weights.sha256}"

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed uint8 (n, 112, 112, 3) RGB faces as float32 (n, 128) of length 1."""
        check_faces(faces, self.side)
        vectors = np.empty((len(faces), self.dimension), np.float32)
        for row, face in zip(vectors, faces, strict=True):
            row[:] = self._loaded()(face)
        check_finite(vectors, "sface")
        return unit_rows(vectors)

    def _loaded(self) -> Feature:
        if self._feature is None:
            self._feature = load_feature(np.fromfile(self._weights.path, np.uint8))
        return self._feature

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_feature": None}
