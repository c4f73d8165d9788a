"""From a run directory or a checkpoint to codes that can be scored."""

from __future__ import annotations

import os
import time
from pathlib import Path

from data.configured import find, load_configured
from experiments.report import Subject
from facehash import methods
from facehash.config import check_config, load_config
from facehash.dataset import FaceDataset
from facehash.learning.backend import choose_backend, start_backend
from facehash.retrieval.codes_file import CodeSet, write_codes
from facehash.runs import RunDirectory, RunError, read_history


def encode_run(path: Path, data: Path | None = None) -> tuple[CodeSet, Subject]:
    """Encode gallery and query of a finished run, and keep the codes in it as codes.npz.

    Args:
        path: The run directory.
        data: Where the data set is, if not where it was in training.

    Returns:
        Packed codes with labels, and what they come from.

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
    faces = run.apply_split(load_configured(config.dataset, find(config.dataset, data, run.path)))
    # A model encodes alike on every backend, so the environment may ask for another one.
    codes, subject = _encode(run.model, faces, os.environ.get("KERAS_BACKEND") or config.backend)
    write_codes(run.path / "codes.npz", codes)
    return codes, Subject(**{**vars(subject), "seed": config.seed})


def encode_checkpoint(
    path: Path, config_path: Path, data: Path | None = None
) -> tuple[CodeSet, Subject]:
    """Encode gallery and query of a configured data set with any model file.

    Args:
        path: A ``.keras`` file of this project.
        config_path: The YAML file that names the data set and the split.
        data: Where the data set is; wins over the YAML file.

    Returns:
        Packed codes with labels, and what they come from.

    Raises:
        InputError: No such file, no model of this project, or anything wrong with the data.
    """
    config = load_config(config_path, methods.options_class)
    source = find(config.dataset, data, config_path.parent)
    faces = load_configured(config.dataset, source)
    codes, subject = _encode(path, faces, config.backend)
    return codes, Subject(**{**vars(subject), "seed": config.seed})


def _encode(path: Path, faces: FaceDataset, backend: str | None) -> tuple[CodeSet, Subject]:
    name = choose_backend(backend)
    start_backend(name)
    from facehash.learning.encoding import encode_rows  # Keras must not be imported any earlier

    model = methods.load(path)
    started = time.perf_counter()
    codes = CodeSet(
        gallery_codes=encode_rows(model, faces, faces.gallery),
        query_codes=encode_rows(model, faces, faces.query),
        gallery_labels=faces.labels[faces.gallery],
        query_labels=faces.labels[faces.query],
        bits=model.bits,
    )
    seconds = round(time.perf_counter() - started, 3)
    return codes, Subject(methods.method_of(model), None, name, faces, seconds)
