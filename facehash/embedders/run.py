"""A training run of this project as an embedder of packed codes."""

import hashlib
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facehash import methods
from facehash.codes import Packed
from facehash.embedders.base import check_faces
from facehash.errors import InputError
from facehash.images.alignment import CROPS, Crop
from facehash.learning.backend import start_any_backend
from facehash.vectors import Metric

log = logging.getLogger(__name__)


class HashRun:
    """Encodes faces with a trained model, for example DDH or DCBH.

    Faces have the side and crop that the model was trained with. A crop that is not in
    `facehash.images.alignment.CROPS` is replaced by ``box``, with a warning.

    Args:
        model: A `facehash.learning.hash_model.HashModel`.
        sha256: Digest of its file.
        name: Name of the model in warnings.
    """

    metric: Metric = "hamming"
    light = False

    def __init__(self, model: Any, sha256: str, name: str) -> None:
        self._model = model
        self._sha256 = sha256
        self._projector: Any = None
        self.trained_people: frozenset[str] = frozenset(model.trained_people)
        self.dimension: int = model.bits
        self.side: int = model.side
        self.crop: Crop = "box"
        if model.crop in CROPS:
            self.crop = cast(Crop, model.crop)
        else:
            log.warning(
                "%s was trained on faces cropped as %r, which facehash does not support: faces are "
                "cropped by their boxes, expect worse codes",
                *(name, model.crop),
            )

    @property
    def identity(self) -> str:
        """Method, bits, side, crop, and the SHA-256 of the model's file."""
        return (
            f"{methods.method_of(self._model)}:bits={self.dimension},size={self.side},"
            f"crop={self.crop},sha256={self._sha256}"
        )

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode uint8 (n, side, side, 3) RGB faces as packed codes, uint8 (n, ceil(bits / 8))."""
        from facehash.learning.encoding import encode

        check_faces(faces, self.side)
        return encode(self._model, faces)

    @property
    def projects(self) -> bool:
        """Whether the model has a scale of its projections, as since version 0.2.0."""
        return self._model.projection_scale is not None

    def project(self, faces: NDArray[np.uint8]) -> tuple[Packed, NDArray[np.float32]]:
        """Encode faces, and keep the numbers whose signs are the codes.

        Args:
            faces: uint8 (n, side, side, 3) RGB.

        Returns:
            Packed codes uint8 (n, ceil(bits / 8)), and projections float32 (n, bits), divided by
            the model's scale.

        Raises:
            InputError: The model has no scale.
        """
        from facehash.learning.encoding import Projector

        check_faces(faces, self.side)
        if self._projector is None:  # a search asks again and again
            self._projector = Projector(self._model)
        return self._projector.scaled(faces)


def load_run(path: Path) -> HashRun:
    """Make an embedder from a finished run, or from a model file of this project.

    Args:
        path: A run directory or a ``.keras`` file, trained on any Keras backend.

    Raises:
        InputError: The run does not exist or is not finished, or its model cannot be loaded or
            takes vectors.
    """
    file, backend, method = methods.find_model(path)
    start_any_backend(backend)
    model = methods.load(file, method)
    if model.input_kind == "vectors":
        raise InputError(
            f"{path}: takes vectors of {model.item_shape[0]} numbers, not photos; choose a model "
            "trained on images"
        )
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return HashRun(model, sha256, str(path))
