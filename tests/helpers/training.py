"""Short trainings on faces that are quick to learn; Keras is imported when they run."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from facehash import methods
from facehash.config import check_config
from facehash.dataset import FaceDataset
from facehash.runs.directory import RunDirectory


def looks(train: int = 36) -> FaceDataset:
    """Six people with noisy but distinct looks: 8 images each, 2 of them queries."""
    rng = np.random.default_rng(20181)
    people = rng.integers(0, 256, (6, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    images = np.clip(people.repeat(8, axis=0) + rng.normal(0, 20, (48, 32, 32, 3)), 0, 255)
    rows = np.arange(48)
    kept = rows[rows % 8 < 6]
    faces = FaceDataset(
        name="looks",
        images=images.astype(np.uint8),
        labels=rows // 8,
        identities=tuple("abcdef"),
        train=kept,
        gallery=kept,
        query=rows[rows % 8 >= 6],
        protocol="seen",
    )
    return replace(faces, train=kept[np.linspace(0, 35, train).astype(int)]).check()


def configure(
    method="ddh", *, bits=12, seed=3, augmentation=None, dataset=None, model=None, **training
):
    """Return a configuration of a short training."""
    tree = {
        "method": method,
        "bits": bits,
        "seed": seed,
        "dataset": dataset or {"name": "looks"},
        "model": model or {},
        "augmentation": augmentation or {},
        "training": {"epochs": 8, "batch": 16, "learning_rate": 0.01} | training,
    }
    return check_config(tree, methods.options_class, "test")


def run_training(
    config, faces: FaceDataset, folder: Path, *, build=None, overwrite=False, initial=None
):
    """Train in a run directory; return it and the outcome."""
    from facehash.learning.training import train

    run = RunDirectory(folder)
    build = build or functools.partial(methods.build, config)
    with run.begin(config.to_yaml(), overwrite):
        return run, train(config, faces, run, build, overwrite, initial)
