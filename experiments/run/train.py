"""Train a network from a configuration, for train.py and for tables."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.loading import load
from facehash import methods
from facehash.config import RunConfig
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs.directory import RunDirectory

if TYPE_CHECKING:
    from facehash.learning.training import Outcome


def train_network(
    settings: RunConfig[Any], source: Path, directory: RunDirectory, overwrite: bool = False
) -> Outcome | None:
    """Train a network on the data set at `source`, or continue an interrupted training.

    Returns:
        How the training ended; None if the run was already finished.

    Raises:
        InputError: The data, the backend or the run directory cannot be used.
        Interrupted: Ctrl-C or SIGTERM; a backup of the last whole epoch is kept.
    """
    settings = settings.with_resolved(choose_backend(settings.backend), str(source.resolve()))
    with directory.begin(settings.to_yaml(), overwrite):
        if directory.finished and not overwrite:
            directory.tidy()
            return None
        faces = load(settings.dataset, source)
        start_backend(str(settings.backend))
        from facehash.learning.training import train  # imports Keras, so not earlier

        build = functools.partial(methods.build, settings)
        return train(settings, faces, directory, build, overwrite)
