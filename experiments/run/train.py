"""Train a network from a configuration, for train.py and for tables."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.loading import load
from facehash import methods
from facehash.config import RunConfig, TrainingConfig
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs.continuation import is_exhausted
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.files import read_history

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel
    from facehash.learning.training import Outcome

log = logging.getLogger(__name__)


def train_network(
    settings: RunConfig[Any],
    source: Path,
    directory: RunDirectory,
    overwrite: bool = False,
    folder: Path = Path(),
) -> Outcome | None:
    """Train a network on the data set at `source`, or continue a training.

    An interrupted training resumes. A finished one goes on if the configuration asks for more
    epochs, or for a larger patience, and they change the result.

    Args:
        settings: The configuration.
        source: Path of the data set.
        directory: The run.
        overwrite: Delete an earlier run.
        folder: The folder of the YAML file, to which paths in it are relative.

    Returns:
        How the training ended; None if there was nothing left to do.

    Raises:
        InputError: The data, the backend, the initial weights or the run directory cannot be used.
        Interrupted: Ctrl-C or SIGTERM; a backup of the last whole epoch is kept.
    """
    if directory.begun and not overwrite and directory.config.is_file():
        settings = settings.continuing(directory.read_config(complete=False))
    backend = choose_backend(settings.backend)
    settings = settings.with_resolved(backend, str(source.resolve()), folder)
    with directory.begin(settings.to_yaml(), overwrite):
        if directory.finished and not overwrite and not _goes_on(settings.training, directory):
            directory.tidy()
            return None
        resumed = not overwrite and (directory.finished or directory.backup.is_file())
        initial = None if resumed else _initial(settings)
        faces = load(settings.dataset, source)
        start_backend(backend)
        from facehash.learning.training import train  # imports Keras, so not earlier

        build = functools.partial(methods.build, settings)
        return train(settings, faces, directory, build, overwrite, initial)


def _goes_on(training: TrainingConfig, directory: RunDirectory) -> bool:
    """Whether the configuration asks for more epochs than a finished run has."""
    history = read_history(directory.history)
    if training.epochs < len(history):
        raise RunError(
            f"{directory.path}: has {len(history)} epochs already, more than training.epochs "
            f"{training.epochs}; choose another --name to train fewer"
        )
    if training.epochs == len(history):
        return False
    if is_exhausted(history, training.monitor, training.patience):
        log.info(
            "%s: training stopped after %d epochs, because training.monitor (%s) had not "
            "improved for %d; more epochs need a larger training.patience",
            *(directory.path, len(history), training.monitor, training.patience),
        )
        return False
    return True


def _initial(settings: RunConfig[Any]) -> Callable[[], HashModel] | None:
    """Return a function that loads the model whose weights a new training starts from."""
    path = settings.training.initial_weights
    if path is None:
        return None
    if not Path(path).exists():
        raise InputError(
            f"training.initial_weights {path}: no such .keras file or run (paths are relative to "
            "the YAML file, or else to the working directory)"
        )
    run = RunDirectory(Path(path))
    if not run.path.is_dir():
        return functools.partial(methods.load, run.path, settings.method)
    run.read_config()
    if not run.finished:
        raise RunError(f"training.initial_weights {path}: this run is not finished")
    return functools.partial(methods.load, run.model, settings.method)
