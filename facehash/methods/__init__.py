"""The registry of hashing methods by name, including those of users."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dcbh.options
import ddh.options
from facehash.config import RunConfig, Strict
from facehash.errors import InputError, did_you_mean
from facehash.learning.backend import start_any_backend
from facehash.learning.model_files import ModelFileError, load_model_file, saved_class
from facehash.methods import options
from facehash.runs.directory import RunDirectory, RunError

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel


@dataclass(frozen=True)
class Method:
    """A method: its options and its model."""

    options: type[Strict]  # the class of the model: section, which imports no Keras
    module: str  # that defines the model

    def model(self) -> type[HashModel]:
        """Return the class of the model; imports Keras.

        Raises:
            InputError: The module does not define exactly one `HashModel`.
        """
        from facehash.learning.hash_model import HashModel

        found = [
            value
            for value in vars(importlib.import_module(self.module)).values()
            if isinstance(value, type)
            and issubclass(value, HashModel)
            and value.__module__ == self.module
        ]
        if len(found) != 1:
            names = ", ".join(value.__name__ for value in found) or "none"
            path = f"{self.module.replace('.', '/')}.py"
            raise InputError(f"{path} must define exactly one HashModel, found {names}")
        return found[0]


METHODS = {
    "ddh": Method(ddh.options.Options, "ddh.model"),
    "dcbh": Method(dcbh.options.Options, "dcbh.model"),
    "orthohash": Method(options.OrthoHashOptions, "facehash.methods.orthohash"),
    "csq": Method(options.CSQOptions, "facehash.methods.csq"),
    "greedyhash": Method(options.GreedyHashOptions, "facehash.methods.greedyhash"),
    "dpn": Method(options.DPNOptions, "facehash.methods.dpn"),
    "dcdh": Method(options.DCDHOptions, "facehash.methods.dcdh"),
    "ndh": Method(options.NDHOptions, "facehash.methods.ndh"),
}


def find_method(name: str) -> Method:
    """Find a method: one of `METHODS`, or a package of the user.

    Such a package must be importable, with a class ``Options`` in ``options.py`` and one
    `HashModel` in ``model.py``; CONTRIBUTING.md has an example.

    Raises:
        InputError: There is no such method, or the package does not define one.
    """
    if name in METHODS:
        return METHODS[name]
    if not _has_folder(name):
        raise InputError(
            f"method {name!r} is unknown{did_you_mean(name, METHODS)}, and there is no folder "
            f"{name}/ with options.py and model.py on the Python path"
        )
    own = getattr(importlib.import_module(f"{name}.options"), "Options", None)
    if not (isinstance(own, type) and issubclass(own, Strict)):
        raise InputError(f"{name}/options.py has no class Options that is a facehash.config.Strict")
    return Method(own, f"{name}.model")


def _has_folder(name: str) -> bool:
    """Whether a package of this name has the files of a method; nothing is imported."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):  # it is imported, but not from a file
        return False
    folders = (spec and spec.submodule_search_locations) or ()
    files = ("options.py", "model.py")
    return any(all(Path(folder, file).is_file() for file in files) for folder in folders)


def options_class(name: str) -> type[Strict]:
    """Return the class of a method's ``model:`` section, as `find_method` does."""
    return find_method(name).options


def build(
    config: RunConfig[Any],
    identities: Sequence[str],
    pixel_mean: float | None = None,
    pixel_std: float | None = None,
    vector_mean: Sequence[float] | None = None,
) -> HashModel:
    """Build an untrained model.

    Args:
        config: A checked configuration, which names the method.
        identities: Names of the identities in the training set.
        pixel_mean: Mean of all training pixels, 0 to 255; None for vectors.
        pixel_std: Standard deviation of all training pixels; None for vectors.
        vector_mean: Mean of the training vectors, d numbers; None for images.

    Returns:
        A model with weights, not yet compiled.

    Example:
        >>> from facehash import methods
        >>> from facehash.config import load_config
        >>> config = load_config(Path("configs/quickstart.yaml"), methods.options_class)
        >>> model = methods.build(config, ["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
    """
    if config.input == "vectors":
        data: dict[str, Any] = {"input": "vectors", "vector_mean": vector_mean}
    else:
        data = {
            "pixel_mean": pixel_mean,
            "pixel_std": pixel_std,
            "side": config.dataset.side,
            "crop": config.dataset.crop,
            "augmentation": config.augmentation.model_dump(),
        }
    return find_method(config.method).model()(
        bits=config.bits,
        identities=identities,
        dtype=config.training.precision,
        **{**config.model.model_dump(), **data},
    )


def load(path: Path, method: str | None = None) -> HashModel:
    """Load a trained model; Keras must have been started, see `load_model`.

    Args:
        path: A ``.keras`` file.
        method: The name of its method. Default: the package of the class that the file names.

    Returns:
        The model. Keras's safe mode is on, so no code in the file runs.

    Raises:
        ModelFileError: No such file, not a Keras file, or not a model of this project.

    Example:
        >>> from facehash import methods
        >>> model = methods.load(Path("runs/quickstart-48-s0/model.keras"))  # doctest: +SKIP
    """
    from facehash.learning.hash_model import HashModel

    register(method or _own_method(path))
    model = load_model_file(path)
    if not isinstance(model, HashModel):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, not a model of this project")
    return model


def _own_method(path: Path) -> str | None:
    """Return the method of a user that a file needs; only a folder of a method is accepted."""
    module, name = saved_class(path) or ("keras", "")
    package = module.partition(".")[0]
    if package in ("keras", "facehash") or package in METHODS:
        return None
    if not _has_folder(package):
        raise ModelFileError(
            f"{path}: its class is {name} of {module}, and there is no folder {package}/ with "
            "options.py and model.py on the Python path"
        )
    return package


def load_model(path: Path) -> HashModel:
    """Load the model of a run directory or a ``.keras`` file; see `facehash.load_model`.

    Starts Keras on a backend where none runs in this process, see
    `facehash.learning.backend.start_any_backend`.

    Raises:
        InputError: There is no such run or file, the run is not finished, or the file holds no
            model of this project.
    """
    file, backend, method = find_model(path)
    start_any_backend(backend)
    return load(file, method)


def find_model(path: Path) -> tuple[Path, str | None, str | None]:
    """Find the model of a run directory or a ``.keras`` file, without loading it.

    Returns:
        The file, the backend that the run was trained on, and its method; the last two are None
        for a file.

    Raises:
        RunError: There is no such run or file, or the run is not finished.
    """
    if not path.exists():
        raise RunError(f"{path}: no such run or model file")
    if not path.is_dir():
        return path, None, None
    run = RunDirectory(path)
    config = run.read_config()
    if not run.finished:
        raise RunError(f"{path}: not finished; the same train.py command resumes it")
    return run.model, config.get("backend"), config["method"]


def register(method: str | None = None) -> None:
    """Register the model classes with Keras, so that it can load their files.

    Args:
        method: The name of a user's own method, if any.
    """
    for name in {*METHODS, *([method] if method else [])}:
        find_method(name).model()  # importing the class registers it


def method_of(model: HashModel) -> str:
    """Return the name of a model's method: in `METHODS`, or of the user's package."""
    module = type(model).__module__
    names = {method.module: name for name, method in METHODS.items()}
    return names.get(module, module.partition(".")[0])
