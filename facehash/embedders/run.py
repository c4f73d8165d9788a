"""The embedder that a training run of this project is: its network's packed codes."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facehash import methods
from facehash.embedders.base import check_faces
from facehash.images.alignment import CROPS, Crop
from facehash.learning.backend import start_any_backend
from facehash.runs.directory import RunDirectory, RunError
from facehash.vectors import Metric

log = logging.getLogger(__name__)


class HashRun:
    """Encodes faces by a DDH or DCBH model.

    Side and crop are those that the model was trained with; a crop that is none of
    `facehash.images.alignment.CROPS` is replaced by ``box``, with a warning.

    Args:
        model: A `facehash.learning.hash_model.HashModel`.
        sha256: Digest of its file.
        name: What warnings call it.
    """

    metric: Metric = "hamming"
    light = False

    def __init__(self, model: Any, sha256: str, name: str) -> None:
        self._model = model
        self._sha256 = sha256
        self.dimension: int = model.bits
        self.side: int = model.side
        self.crop: Crop = "box"
        if model.crop in CROPS:
            self.crop = cast(Crop, model.crop)
        else:
            log.warning(
                "%s was trained on faces cropped as %r, which cannot be repeated here: boxes are "
                "cropped instead, expect worse codes",
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
        """Encode uint8 (n, side, side, 3) RGB faces as packed codes, uint8 (n, ceil(bits / 8)).

        Raises:
            ValueError: Another shape or dtype.
            CodesError: The model returned NaN.
        """
        from facehash.learning.encoding import encode

        check_faces(faces, self.side)
        return encode(self._model, faces)


def load_run(path: Path) -> HashRun:
    """Make an embedder of a finished run, or of a model file of this project alone.

    Args:
        path: A run directory or a ``.keras`` file; any Keras backend serves.

    Raises:
        InputError: No such run, not finished, or its model cannot be loaded.
    """
    backend, method, file = None, None, path
    if path.is_dir():
        run = RunDirectory(path)
        config, file = run.read_config(), run.model
        backend, method = config.get("backend"), config["method"]
        if not run.finished:
            raise RunError(f"{path}: not finished; the train.py command that began it goes on")
    elif not path.exists():
        raise RunError(f"{path}: no such run")
    start_any_backend(backend)
    model = methods.load(file, method)
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return HashRun(model, sha256, str(path))
