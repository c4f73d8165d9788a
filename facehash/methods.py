"""Methods by name: the only room that knows every hashing network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dcbh.options
import ddh.options
from facehash.config import RunConfig, Strict
from facehash.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel


class ModelFileError(InputError):
    """A model file that is missing, damaged, or of something else."""


@dataclass(frozen=True)
class Method:
    """Where a method's two classes are.

    Attributes:
        options: The class of its ``model:`` section; importing it imports no Keras.
        model: Returns the class of its model; calling it imports Keras.
    """

    options: type[Strict]
    model: Callable[[], type[HashModel]]


def _ddh() -> type[HashModel]:
    from ddh.model import DDH

    return DDH


def _dcbh() -> type[HashModel]:
    from dcbh.model import DCBH

    return DCBH


METHODS = {
    "ddh": Method(ddh.options.Options, _ddh),
    "dcbh": Method(dcbh.options.Options, _dcbh),
}


def find_method(name: str) -> Method:
    """Look a method up.

    Raises:
        InputError: No such method.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r} is unknown{did_you_mean(name, METHODS)}")
    return METHODS[name]


def options_class(name: str) -> type[Strict]:
    """Return the class of a method's ``model:`` section, without importing Keras.

    Raises:
        InputError: No such method.
    """
    return find_method(name).options


def build(
    config: RunConfig[Any], identities: Sequence[str], pixel_mean: float, pixel_std: float
) -> HashModel:
    """Make an untrained model.

    Args:
        config: A checked configuration; its method decides the class.
        identities: Names of the people to be classified in training.
        pixel_mean: Mean of all training pixels, 0 to 255.
        pixel_std: Standard deviation of all training pixels.

    Returns:
        A model with weights, not yet compiled.
    """
    return find_method(config.method).model()(
        bits=config.bits,
        identities=identities,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        side=config.dataset.side,
        crop=config.dataset.crop,
        augmentation=config.augmentation.model_dump(),
        dtype=config.training.precision,
        **config.model.model_dump(),
    )


def load(path: Path) -> HashModel:
    """Load a trained model.

    Args:
        path: A ``.keras`` file.

    Returns:
        The model, with Keras's safe mode on.

    Raises:
        ModelFileError: No such file, not a Keras file, or not one of this project's models.
    """
    import keras

    from facehash.learning.hash_model import HashModel

    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    # Only this format has a safe mode that can be relied on.
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: not a whole .keras file")
    for method in METHODS.values():
        method.model()  # importing the class registers its name with Keras
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises anything from ValueError to KeyError, often over many lines.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(f"{path}: cannot be loaded as a Keras model: {reason}") from error
    if not isinstance(model, HashModel):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, not a model of this project")
    return model


def method_of(model: HashModel) -> str:
    """Return the name of the method that a model is an instance of."""
    return next(name for name, method in METHODS.items() if type(model) is method.model())
