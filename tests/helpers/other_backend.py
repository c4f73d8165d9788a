"""The processes that test_backends.py starts: ``python -m tests.helpers.other_backend``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from facehash import methods
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs.files import read_history
from tests.helpers.training import configure, looks, run_training

METHODS = ("ddh", "dcbh")


def encode_into(path: Path, model) -> None:
    """Write the relaxed outputs and packed codes of the images."""
    from facehash.learning.encoding import encode, relaxed_codes

    images = looks().images
    codes = {"relaxed": relaxed_codes(model, images), "packed": encode(model, images)}
    np.savez(path, **codes, training_images=np.array(model.training_images))


def settle(model) -> None:
    """Set the statistics of batch normalization, which a short training leaves far off."""
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
    norms[-1].gamma.assign(norms[-1].gamma * 2.0)  # so that some feature dominates


def write(folder: Path) -> None:
    """Train each method briefly and write its codes, which another backend must reproduce."""
    for method in METHODS:
        config = configure(method, epochs=2, batch=18, learning_rate=1e-3)
        run, outcome = run_training(config, looks(), folder / method)
        if method == "dcbh":
            settle(outcome.model)
            outcome.model.save(run.model)
        encode_into(folder / f"{method}.npz", outcome.model)


def read(folder: Path, target: Path) -> None:
    """Encode with the models that another backend has written."""
    for method in METHODS:
        encode_into(target / f"{method}.npz", methods.load(folder / method / "model.keras"))


def devices(folder: Path) -> None:
    """Train on one device and on all, and print the results."""
    from facehash.learning.encoding import relaxed_codes

    found = {"history": {}, "device": {}, "errors": []}
    relaxed, centers = {}, {}
    faces = looks()
    for which in ("one", "all"):
        # Without momentum and Adam's divisions, which would amplify rounding.
        config = configure(devices=which, epochs=4, batch=12, optimizer="sgd")
        run, outcome = run_training(config, faces, folder / which)
        relaxed[which] = relaxed_codes(outcome.model, faces.images)
        found["history"][which] = [row["loss"] for row in read_history(run.history)]
        found["device"][which] = json.loads(run.environment.read_text())["device"]
        # A single step: it sees each person six times, on more than one device.
        config = configure(
            "dcbh", devices=which, epochs=1, batch=36, optimizer="sgd", learning_rate=1e-4
        )
        _, outcome = run_training(config, faces, folder / f"dcbh-{which}")
        centers[which] = np.array(outcome.model.center_loss.positions())
    for name, values in {"relaxed": relaxed, "centers": centers}.items():
        np.savez(folder / f"{name}.npz", **values)
    # 27 images to train on and 8 to validate: the last three of the 27 are dropped.
    config = configure(devices="all", epochs=2, batch=12, validation=0.23)
    run, _ = run_training(config, looks(35), folder / "uneven")
    found["uneven"] = len(read_history(run.history))
    for name, count, batch in (("batch", 36, 30), ("few", 3, 4)):
        config = configure(devices="all", epochs=1, batch=batch)
        try:
            run_training(config, looks(count), folder / name)
        except InputError as error:
            found["errors"].append(str(error))
    print(json.dumps(found))


if __name__ == "__main__":
    start_backend(choose_backend())
    globals()[sys.argv[1]](*map(Path, sys.argv[2:]))
