"""Methods by name: the only room that knows every hashing network, those of a user included."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dcbh.options
import ddh.options
from facehash.config import RunConfig, Strict
from facehash.errors import InputError, did_you_mean
from facehash.learning.model_files import ModelFileError, load_model_file

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel


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
    """Look a method up: one of `METHODS`, or a folder of your own.

    A folder is a package that Python can import from where it runs, with a class ``Options`` in
    ``options.py`` and one `HashModel` in ``model.py``; CONTRIBUTING.md has an example.

    Raises:
        InputError: No such method, or a folder that does not hold one.
    """
    if name in METHODS:
        return METHODS[name]
    if not name.isidentifier() or not all(map(_exists, (f"{name}.options", f"{name}.model"))):
        raise InputError(
            f"method {name!r} is unknown{did_you_mean(name, METHODS)}, and there is no folder "
            f"{name}/ with options.py and model.py here"
        )
    options = getattr(importlib.import_module(f"{name}.options"), "Options", None)
    if not (isinstance(options, type) and issubclass(options, Strict)):
        raise InputError(f"{name}/options.py has no class Options that is a facehash.config.Strict")
    return Method(options, lambda: _own_model(name))


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # its package is none, or is not there
        return False


def _own_model(name: str) -> type[HashModel]:
    """Find the one model class that a folder of a user's own defines."""
    from facehash.learning.hash_model import HashModel

    module = importlib.import_module(f"{name}.model")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, HashModel)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(value.__name__ for value in found) or "none"
        raise InputError(f"{name}/model.py must define one HashModel, found {names}")
    return found[0]


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


def load(path: Path, method: str | None = None) -> HashModel:
    """Load a trained model.

    Args:
        path: A ``.keras`` file.
        method: Its method, needed where that is a folder of your own.

    Returns:
        The model, with Keras's safe mode on.

    Raises:
        ModelFileError: No such file, not a Keras file, or not one of this project's models.
    """
    from facehash.learning.hash_model import HashModel

    register(method)
    model = load_model_file(path)
    if not isinstance(model, HashModel):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, not a model of this project")
    return model


def register(method: str | None = None) -> None:
    """Let Keras know our models by name, so that their files can be loaded.

    Args:
        method: One more, that is a folder of your own.
    """
    for name in {*METHODS, *([method] if method else [])}:
        find_method(name).model()  # importing the class registers it


def method_of(model: HashModel) -> str:
    """Return the name of the method that a model is an instance of: that of its package."""
    return type(model).__module__.partition(".")[0]
