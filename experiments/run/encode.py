"""From a run directory or a checkpoint to codes that can be scored."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.configured import find, load_configured
from experiments.run.score import CodeSource
from facehash import methods
from facehash.config import RunConfig, check_config, load_config
from facehash.dataset import FaceDataset
from facehash.learning.backend import choose_backend, start_backend
from facehash.retrieval.codes_file import CodeSet
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.files import apply_split, read_history

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel

log = logging.getLogger(__name__)


def load_run(
    path: Path, data: Path | None = None
) -> tuple[HashModel, FaceDataset, RunConfig[Any], str]:
    """Load the model of a finished run, and the data it was trained with in the same roles.

    Args:
        path: The run directory.
        data: Where the data set is, if not where it was in training.

    Returns:
        Model, data set, configuration, and the backend that Keras now runs on.

    Raises:
        InputError: No run, an unfinished one, or its data is missing or has changed.
    """
    run = RunDirectory(path)
    config = check_config(run.read_config(), methods.options_class, str(run.config))
    if not run.finished:
        done = len(read_history(run.history))
        raise RunError(
            f"{path}: not finished ({done} of at most {config.training.epochs} epochs); "
            "the train.py command that began it goes on with it"
        )
    source = find(config.dataset, data, run.path)
    faces = apply_split(run.split, load_configured(config.dataset, source))
    # A model encodes alike on every backend, so the environment may ask for another one.
    wanted = os.environ.get("KERAS_BACKEND") or config.backend
    model, backend = _load(run.model, wanted, config.method)
    return model, faces, config, backend


def encode_run(path: Path, data: Path | None = None) -> tuple[CodeSet, CodeSource]:
    """Encode gallery and query of a finished run.

    Args:
        path: The run directory.
        data: Where the data set is, if not where it was in training.

    Returns:
        Packed codes with labels, and what they come from.

    Raises:
        InputError: As `load_run`.
    """
    model, faces, config, backend = load_run(path, data)
    return _encode(model, faces, backend, config.seed)


def encode_checkpoint(
    path: Path, config_path: Path, data: Path | None = None
) -> tuple[CodeSet, CodeSource]:
    """Encode gallery and query of a configured data set with any model file.

    Args:
        path: A ``.keras`` file of this project.
        config_path: The YAML file that names the data set and the split; what it says of the
            method, its training and the images' side is not looked at.
        data: Where the data set is; wins over the YAML file.

    Returns:
        Packed codes with labels, and what they come from; the seed is not known.

    Raises:
        InputError: No such file, no model of this project, or anything wrong with the data.
    """
    config = load_config(config_path, methods.options_class)
    source = find(config.dataset, data, config_path.parent)
    model, backend = _load(path, config.backend, config.method)
    wanted = config.dataset.model_copy(update={"side": model.side})
    if model.crop != wanted.crop:
        log.warning(
            "%s was trained on faces cropped as %r, %s says %r: expect worse codes",
            *(path, model.crop, config_path, wanted.crop),
        )
    return _encode(model, load_configured(wanted, source), backend, None)


def _load(path: Path, backend: str | None, method: str) -> tuple[HashModel, str]:
    name = choose_backend(backend)
    start_backend(name)
    return methods.load(path, method), name


def _encode(
    model: HashModel, faces: FaceDataset, backend: str, seed: int | None
) -> tuple[CodeSet, CodeSource]:
    from facehash.learning.encoding import encode_rows  # Keras must not be imported any earlier

    started = time.perf_counter()
    codes = CodeSet(
        gallery_codes=encode_rows(model, faces, faces.gallery),
        query_codes=encode_rows(model, faces, faces.query),
        gallery_labels=faces.labels[faces.gallery],
        query_labels=faces.labels[faces.query],
        bits=model.bits,
    )
    seconds = round(time.perf_counter() - started, 3)
    return codes, CodeSource(methods.method_of(model), seed, backend, faces, seconds)
