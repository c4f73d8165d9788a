"""Loading a Keras model from a file that may come from somebody else."""

import json
import zipfile
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import atomic_write


class ModelFileError(InputError):
    """A model file that is missing, damaged, or holds something else."""


def saved_class(path: Path) -> tuple[str, str] | None:
    """Return module and name of the class in a ``.keras`` file, without loading the model.

    Args:
        path: The file.

    Returns:
        Such as ``("ddh.model", "DDH")``; None if the file does not say it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        module, name = config["module"], config["class_name"]
    except Exception:  # a damaged file fails in many ways; `load_model_file` names the problem
        return None
    return (module, name) if isinstance(module, str) and isinstance(name, str) else None


def save_model_file(model: Any, path: Path) -> None:
    """Write a ``.keras`` file without the state of the optimizer, which would triple its size.

    Args:
        model: A `keras.Model`, compiled or not; afterwards it is as before.
        path: The file, replaced as a whole.

    Raises:
        OSError: The file cannot be written.
    """
    compiled, optimizer = model.compiled, getattr(model, "optimizer", None)
    # Keras saves what the model's attributes lead to.
    model.compiled, model.optimizer = False, None
    try:
        with atomic_write(path) as temporary:
            model.save(temporary)
    finally:
        model.compiled, model.optimizer = compiled, optimizer


def load_model_file(path: Path) -> Any:
    """Load a ``.keras`` file in Keras's safe mode, so that no code in it runs.

    Args:
        path: The file.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ModelFileError: No such file, not a .keras file, or Keras cannot load it.
    """
    import keras

    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    # Only this format has a reliable safe mode.
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: not a complete .keras file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises all kinds of exceptions, often with many lines.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(f"{path}: cannot be loaded as a Keras model: {reason}") from error
