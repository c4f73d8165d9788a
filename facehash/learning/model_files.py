"""Loading a Keras model from a file that somebody else may have made."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from facehash.errors import InputError


class ModelFileError(InputError):
    """A model file that is missing, damaged, or of something else."""


def load_model_file(path: Path) -> Any:
    """Load a ``.keras`` file with Keras's safe mode on, so that none of its code is run.

    Args:
        path: The file.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ModelFileError: No such file, not a Keras file, or one that needs what is not there.
    """
    import keras

    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    # Only this format has a safe mode that can be relied on.
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: not a whole .keras file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises anything from ValueError to KeyError, often over many lines.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(f"{path}: cannot be loaded as a Keras model: {reason}") from error
