"""What test_backends.py runs in new processes: ``python -m tests.helpers.other_backend``."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from facehash import methods
from facehash.config import check_config
from facehash.dataset import FaceDataset
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs.directory import RunDirectory
from facehash.runs.files import read_history

METHODS = ("ddh", "dcbh")


def looks(train: int = 36) -> FaceDataset:
    """Six people of noisy but distinct looks: 8 images each, 2 of them queries."""
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


def trained(method: str, folder: Path, faces: FaceDataset, **training):
    """Train a method for a moment; return the run and the model."""
    from facehash.learning.training import train

    tree = {"method": method, "bits": 12, "seed": 3, "dataset": {"name": "looks"}}
    config = check_config(tree | {"training": training}, methods.options_class, "test")
    run = RunDirectory(folder)
    return run, train(config, faces, run, functools.partial(methods.build, config)).model


def encode_into(path: Path, model) -> None:
    """Write the relaxed outputs and packed codes of the images."""
    from facehash.learning.encoding import encode, relaxed_codes

    images = looks().images
    np.savez(path, relaxed=relaxed_codes(model, images), packed=encode(model, images))


def settle(model) -> None:
    """Give batch normalisation the statistics of the images, from which a short training is far."""
    import keras

    norms = [
        layer
        for layer in model.network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentum = norms[0].momentum
    for layer in norms:
        layer.momentum = 0.0
    model(looks().images, training=True)
    for layer in norms:
        layer.momentum = momentum
    norms[-1].gamma.assign(norms[-1].gamma * 2.0)  # else hardly a feature outweighs its block


def write(folder: Path) -> None:
    """Train each method a little and write its codes, which another backend must find again."""
    for method in METHODS:
        run, model = trained(method, folder / method, looks(), epochs=2, batch=18)
        if method == "dcbh":
            settle(model)
            model.save(run.model)
        encode_into(folder / f"{method}.npz", model)


def read(folder: Path, target: Path) -> None:
    """Encode with the models that another backend has written."""
    for method in METHODS:
        encode_into(target / f"{method}.npz", methods.load(folder / method / "model.keras"))


def devices(folder: Path) -> None:
    """Train on one device and on all, and print what came of it."""
    from facehash.learning.encoding import relaxed_codes

    told = {"history": {}, "device": {}, "refused": []}
    relaxed, centers = {}, {}
    faces = looks()
    for which in ("one", "all"):
        # Without momentum's and Adam's divisions, which would blow rounding up.
        run, model = trained(
            "ddh", folder / which, faces, devices=which, epochs=4, batch=12, optimizer="sgd",
            learning_rate=0.01,
        )  # fmt: skip
        relaxed[which] = relaxed_codes(model, faces.images)
        told["history"][which] = [row["loss"] for row in read_history(run.history)]
        told["device"][which] = json.loads(run.environment.read_text())["device"]
        # A single step: each person is seen six times in it, by more than one device.
        _, model = trained(
            "dcbh", folder / f"dcbh-{which}", faces, devices=which, epochs=1, batch=36,
            optimizer="sgd", learning_rate=1e-4,
        )  # fmt: skip
        centers[which] = np.array(model.center_loss.positions())
    for name, values in {"relaxed": relaxed, "centers": centers}.items():
        np.savez(folder / f"{name}.npz", **values)
    # 27 images to fit and 8 to validate on: the last three and none are left out.
    uneven = {"devices": "all", "epochs": 2, "batch": 12, "validation": 0.23}
    run, _ = trained("ddh", folder / "uneven", looks(35), **uneven)
    told["uneven"] = len(read_history(run.history))
    for name, count, change in (("batch", 36, {"batch": 30}), ("few", 3, {"batch": 4})):
        try:
            trained("ddh", folder / name, looks(count), devices="all", epochs=1, **change)
        except InputError as error:
            told["refused"].append(str(error))
    print(json.dumps(told))


if __name__ == "__main__":
    start_backend(choose_backend())
    globals()[sys.argv[1]](*map(Path, sys.argv[2:]))
