"""Encode gallery and query with the model of a run directory or a checkpoint."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.duplicates import count_in_dataset
from data.loading import find_source, load
from experiments.run.leaks import check_leaks
from experiments.run.score import CodeSource
from facehash import methods
from facehash.config import RunConfig, check_config, load_config
from facehash.dataset import FaceDataset
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from facehash.retrieval.codes_file import CodeSet
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.files import apply_split, read_history, read_training

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel

log = logging.getLogger(__name__)


def load_run(
    path: Path, data: Path | None = None
) -> tuple[HashModel, FaceDataset, RunConfig[Any], str]:
    """Load the model of a finished run, and its data with the roles used in training.

    Args:
        path: The run directory.
        data: Path of the data set, if it has moved since training.

    Returns:
        Model, data set, configuration, and the Keras backend in use.

    Raises:
        InputError: There is no finished run, or its data is missing or has changed.
    """
    faces, config = load_run_data(path, data)
    # A model gives the same codes on every backend, so the environment may choose another one.
    wanted = os.environ.get("KERAS_BACKEND") or config.backend
    model, backend = _load(RunDirectory(path).model, wanted, config.method)
    return model, faces, config, backend


def load_run_data(path: Path, data: Path | None = None) -> tuple[FaceDataset, RunConfig[Any]]:
    """Load the data of a finished run without its model; arguments and errors as for `load_run`."""
    run = RunDirectory(path)
    config = check_config(run.read_config(), methods.options_class, str(run.config))
    if not run.finished:
        done = len(read_history(run.history))
        raise RunError(
            f"{path}: not finished ({done} of at most {config.training.epochs} epochs); "
            "run the same train.py command again to continue it"
        )
    source = find_source(config.dataset, data, run.path)
    return apply_split(run.split, load(config.dataset, source)), config


def encode_run(
    path: Path, data: Path | None = None, allow_leaks: bool = False, recentre: bool = False
) -> tuple[CodeSet, CodeSource]:
    """Encode gallery and query of a finished run.

    Args:
        path: The run directory.
        data: As for `load_run`.
        allow_leaks: Whether to encode images that the protocol says the model has not seen.
        recentre: Whether the source also has codes by the mean of the gallery, for a model that
            takes vectors.

    Returns:
        Packed codes with labels, and their source.

    Raises:
        LeakError: The model has seen them, and `allow_leaks` is false.
        InputError: As for `load_run`; or `recentre` with a model that takes images.
    """
    model, faces, config, backend = load_run(path, data)
    codes, source = _encode(path, model, faces, backend, config.seed, allow_leaks, recentre)
    return codes, replace(source, training=read_training(RunDirectory(path).training))


def encode_checkpoint(
    path: Path,
    config_path: Path,
    data: Path | None = None,
    allow_leaks: bool = False,
    recentre: bool = False,
) -> tuple[CodeSet, CodeSource]:
    """Encode gallery and query of a configured data set with a model file.

    Args:
        path: A ``.keras`` file of this project.
        config_path: The YAML file that names the data set and the split. Its method, its training
            settings and its image side are not used.
        data: Path of the data set; overrides the YAML file.
        allow_leaks: As for `encode_run`.
        recentre: As for `encode_run`.

    Returns:
        Packed codes with labels, and their source, whose seed is None.

    Raises:
        LeakError: As for `encode_run`.
        InputError: The file is missing or no model of this project, or the data is invalid.
    """
    config = load_config(config_path, methods.options_class)
    source = find_source(config.dataset, data, config_path.parent)
    model, backend = _load(path, config.backend, config.method)
    kinds = {"image": "images", "vectors": "vectors"}
    if model.input_kind != config.input:
        raise InputError(
            f"{path}: takes {kinds[model.input_kind]}, and {config_path} names a data set of "
            f"{kinds[config.input]}"
        )
    wanted = config.dataset.model_copy(update={"side": model.side})
    if model.crop != wanted.crop:
        log.warning(
            "%s was trained with crop %r, %s sets crop %r: expect worse codes",
            *(path, model.crop, config_path, wanted.crop),
        )
    return _encode(path, model, load(wanted, source), backend, None, allow_leaks, recentre)


def _load(path: Path, backend: str | None, method: str) -> tuple[HashModel, str]:
    name = choose_backend(backend)
    start_backend(name)
    return methods.load(path, method), name


def _encode(
    path: Path,
    model: HashModel,
    faces: FaceDataset,
    backend: str,
    seed: int | None,
    allow_leaks: bool,
    recentre: bool,
) -> tuple[CodeSet, CodeSource]:
    if recentre and model.input_kind != "vectors":
        raise InputError(f"{path}: takes images; only a model that takes vectors can be recentred")
    leaks = check_leaks(path, model, faces, allow_leaks)
    started = time.perf_counter()
    codes = _codes(model, faces)
    seconds = round(time.perf_counter() - started, 3)
    source = CodeSource(methods.method_of(model), seed, backend, faces, seconds)
    if recentre:
        mean = faces.read(faces.gallery).mean(axis=0, dtype=np.float64)
        source = replace(source, recentred=_codes(model.recentred(mean), faces))
    duplicates = count_in_dataset(faces)
    return codes, replace(source, leaks=leaks, split=faces.split, duplicates=duplicates)


def _codes(model: HashModel, faces: FaceDataset) -> CodeSet:
    # Imports Keras, so not earlier.
    from facehash.learning.encoding import Projector, encode_rows

    alone, projected = faces.leave_one_out, None
    if model.projection_scale is None:
        gallery = encode_rows(model, faces, faces.gallery)
        query = gallery if alone else encode_rows(model, faces, faces.query)
    else:
        projector = Projector(model)
        gallery, projected = projector.scaled_rows(faces, faces.gallery)
        query, projected = (
            (gallery, projected) if alone else projector.scaled_rows(faces, faces.query)
        )
    return CodeSet(
        gallery_codes=gallery,
        query_codes=query,
        gallery_labels=faces.labels[faces.gallery],
        query_labels=faces.labels[faces.query],
        bits=model.bits,
        leave_one_out=alone,
        query_projections=projected,
    )
