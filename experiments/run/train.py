"""Training a network as a configuration says: the one way of train.py and of the tables."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.configured import load_configured
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
    """Train a network, go on with an interrupted training, or find it finished.

    Args:
        settings: The checked configuration.
        source: Where its data set is.
        directory: The run directory.
        overwrite: Replace an earlier run.

    Returns:
        How the training ended; None of a run that was finished before.

    Raises:
        InputError: Anything wrong with the data, the backend or the run directory.
        Interrupted: Ctrl-C; what was backed up is kept.
    """
    settings = settings.with_resolved(choose_backend(settings.backend), str(source.resolve()))
    directory.check(settings.to_yaml(), overwrite)
    if directory.finished and not overwrite:
        directory.tidy()
        return None
    faces = load_configured(settings.dataset, source)
    start_backend(str(settings.backend))
    from facehash.learning.training import train  # Keras must not be imported any earlier

    build = functools.partial(methods.build, settings)
    return train(settings, faces, directory, build, overwrite)


def train_or_repair(settings: RunConfig[Any], source: Path, directory: RunDirectory) -> None:
    """Train a network of a table; begin anew where an earlier attempt left something damaged.

    A run of another configuration is not damage: it is refused, never replaced.

    Raises:
        InputError: As `train_network`, also of the second attempt.
    """
    try:
        train_network(settings, source, directory)
    except DamagedRunError as error:
        log.warning("%s: training it anew", error)
        train_network(settings, source, directory, overwrite=True)
