"""Train a network from a configuration, for train.py and for tables."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.loading import load
from facehash import methods
from facehash.config import RunConfig
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs.directory import DamagedRunError, RunDirectory

if TYPE_CHECKING:
    from facehash.learning.training import Outcome

log = logging.getLogger(__name__)


def train_network(
    settings: RunConfig[Any], source: Path, directory: RunDirectory, overwrite: bool = False
) -> Outcome | None:
    """Train a network, or continue an interrupted training.

    Args:
        settings: The validated configuration.
        source: Path of the data set.
        directory: The run directory.
        overwrite: Replace an earlier run.

    Returns:
        How the training ended; None if the run was already finished.

    Raises:
        InputError: The data, the backend or the run directory cannot be used.
        Interrupted: Ctrl-C; the last backup is kept.
    """
    settings = settings.with_resolved(choose_backend(settings.backend), str(source.resolve()))
    directory.check(settings.to_yaml(), overwrite)
    if directory.finished and not overwrite:
        directory.tidy()
        return None
    faces = load(settings.dataset, source)
    start_backend(str(settings.backend))
    from facehash.learning.training import train  # imports Keras, so not earlier

    build = functools.partial(methods.build, settings)
    return train(settings, faces, directory, build, overwrite)


def train_or_repair(settings: RunConfig[Any], source: Path, directory: RunDirectory) -> None:
    """Train a network of a table, from the start if an earlier run is damaged.

    A run of another configuration is refused, never replaced.

    Raises:
        InputError: See `train_network`.
    """
    try:
        train_network(settings, source, directory)
    except DamagedRunError as error:
        log.warning("%s: training from the start", error)
        train_network(settings, source, directory, overwrite=True)
