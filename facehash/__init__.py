"""Learned face hashing: train DDH and DCBH, score their codes, search photos with them.

Importing this package is instant and has no side effect. Import its modules by name, for example
``from facehash.retrieval import metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from facehash.detectors.registry import Switch
    from facehash.learning.hash_model import HashModel
    from facehash.library.query.library import Library
    from facehash.library.storage.store import Column
    from facehash.vectors import CodeDistance

__version__ = "0.2.0"


def open(
    directory: str | os.PathLike[str],
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    by: Column | None = None,
    distance: CodeDistance | None = None,
    engine: str | None = None,
    small_faces: Switch | None = None,
) -> Library:
    """Open a photo library that ``facehash index`` made.

    Args:
        directory: The library.
        weights_dir: Folder searched first for pretrained weights.
        by: What to compare: ``"embedding"`` or ``"code"``. Default: codes if the library has any.
        distance: How codes are compared: ``"asymmetric"`` or ``"hamming"``. Default: asymmetric,
            except for models and libraries of version 0.1.0.
        engine: Name of a server with an index of the library (see ``facehash engine``), which is
            asked for candidates. If it fails, the local index is searched, with a warning.
        small_faces: Whether large queries are searched for small faces, ``"auto"`` or ``"off"``.
            Default: as in the library.

    Returns:
        The library, to be closed after use or used in a ``with`` statement.

    Raises:
        facehash.library.storage.database.LibraryError: The directory is not a library, or is empty
            or damaged.

    Example:
        >>> import facehash
        >>> with facehash.open("lib") as library:
        ...     for result in library.search("aunt.png", k=1):
        ...         for hit in result.hits:
        ...             print(f"{hit.distance:.1f} {hit.name} {hit.path.name}")
        0.0 Ann holiday.png
    """
    from pathlib import Path

    from facehash.library.query.library import open_library
    from facehash.pipeline import pipelines

    folder = None if weights_dir is None else Path(weights_dir)
    return open_library(
        directory,
        by=by,
        distance=distance,
        engine=engine,
        small_faces=small_faces,
        make_pipeline=pipelines(folder),
    )


def load_model(path: str | os.PathLike[str]) -> HashModel:
    """Load a trained model in plain Python.

    The classes of DDH, DCBH and the method that the file needs are registered with Keras first;
    `keras.saving.load_model` alone does not know them. A method of your own is found as by
    ``train.py``: its folder must be on the Python path. Keras's safe mode is on, so no code in the
    file runs. Files and runs of version 0.1.0 load as well.

    The model runs on any Keras backend: the one already imported, or the one that the environment
    variable KERAS_BACKEND names, or that of the training, or TensorFlow.

    Args:
        path: A run directory or a ``.keras`` file.

    Returns:
        A Keras model, not compiled. ``model(images)`` takes RGB pixels 0 to 255, (batch, side,
        side, 3), cropped as ``model.crop`` names it, and returns ``{"relaxed": float32 (batch,
        bits) in (-1, 1), "logits": float32 (batch, identities)}``. Bit j of a code is 1 where
        ``relaxed[:, j] >= 0``.

    Raises:
        facehash.errors.InputError: There is no such run or file, the run is not finished, or the
            file holds no model of this project.

    Example:
        >>> import facehash, numpy as np
        >>> from facehash.learning.encoding import encode
        >>> model = facehash.load_model("runs/quickstart-48-s0")
        >>> model.bits, model.side
        (48, 32)
        >>> photos = np.zeros((10, model.side, model.side, 3), np.uint8)
        >>> encode(model, photos).shape  # packed codes, 8 bits per byte
        (10, 6)
    """
    from pathlib import Path

    from facehash.methods import load_model

    return load_model(Path(path))
