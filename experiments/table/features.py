"""Features of a run's images, computed once and cached for the baselines that hash them."""

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np

from experiments.run.encode import load_run
from experiments.run.leaks import check_leaks
from experiments.table.baselines import Features
from facehash.files import atomic_write
from facehash.runs.directory import DamagedRunError, RunDirectory
from facehash.runs.files import read_npz

_LABELS = ("train_labels", "gallery_labels", "query_labels", "predicted")
_ARRAYS = ("train", "gallery", "query", *_LABELS)


def features_of(run: Path, cache: Path, data: Path | None = None) -> Features:
    """Return the features of a finished run, from the cache file if it is up to date.

    The cache is an .npz file. It is written if it is missing, damaged, or of another model.

    Raises:
        LeakError: The model has seen what it is to be scored on.
        InputError: The run is not finished, or its data is missing or has changed.
    """
    digest = hashlib.sha256(RunDirectory(run).model.read_bytes()).hexdigest()
    if cache.is_file():
        try:
            stored = read_npz(cache, ("model", "checked", "split", *_ARRAYS), "it is written again")
        except DamagedRunError:
            stored = {"model": np.array("")}
        if str(stored["model"]) == digest:
            leaks = [] if stored["checked"] else None
            split = str(stored["split"]) or None
            return Features(
                **{name: stored[name] for name in _ARRAYS}, leaks=leaks, split=cast(Any, split)
            )
    features = _compute(run, data)
    with atomic_write(cache) as temporary:
        arrays = {name: getattr(features, name) for name in _ARRAYS}
        checked, split = np.array(features.leaks is not None), np.array(features.split or "")
        np.savez(temporary, model=np.array(digest), checked=checked, split=split, **arrays)
    return features


def _compute(run: Path, data: Path | None) -> Features:
    model, faces, _, _ = load_run(run, data)
    leaks = check_leaks(run, model, faces)
    from facehash.learning.encoding import features_and_logits  # imports Keras, so not earlier

    found = {
        role: features_and_logits(model, faces, getattr(faces, role))
        for role in ("train", "gallery", "query")
    }
    label_of = {name: label for label, name in enumerate(faces.identities)}
    classes = np.array([label_of[name] for name in model.identities], dtype=np.int64)
    return Features(
        train=found["train"][0],
        gallery=found["gallery"][0],
        query=found["query"][0],
        gallery_labels=faces.labels[faces.gallery],
        query_labels=faces.labels[faces.query],
        predicted=classes[found["query"][1].argmax(axis=1)],
        leaks=leaks,
        split=faces.split,
        train_labels=faces.labels[faces.train],
    )
