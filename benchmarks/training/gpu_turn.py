"""One turn of `benchmarks.training.gpu_training`: a method at a precision, in its own process.

It trains in three ways, one after the other: with our batches and callbacks, once with flips and
shifts and once without, and with a bare `fit` of the same network on the same arrays.

The memory of a card, its compiled kernels and its choice of TF32 belong to a process, so every turn
needs its own.

    python -m benchmarks.training.gpu_turn probe BACKEND     the card's name, or null
    python -m benchmarks.training.gpu_turn train TURN        a Turn as JSON
"""

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import data
from benchmarks.training.random_faces import AUGMENTATION, configure, make_faces
from facehash import methods
from facehash.config import DatasetConfig
from facehash.dataset import FaceDataset
from facehash.learning.backend import start_backend

Precision = Literal["float32", "tf32", "bfloat16"]
WAYS = ("ours, augmented", "ours", "bare fit")


@dataclass(frozen=True)
class Turn:
    """What to train, and how.

    The precision ``tf32`` multiplies float32 arrays with 10 bits of mantissa; ``bfloat16`` is the
    mixed policy of Keras.
    """

    backend: str  # "jax" or "torch"
    method: str  # "ddh" or "dcbh"
    precision: Precision
    data: str | None  # folder of PubFig83; None for random images
    images: int  # number of random images
    people: int  # in the random images
    batch: int
    epochs: int  # the first is not timed
    matrix_side: int  # of the product that measures the peak


def find_card(backend: str) -> str | None:
    """Return the name of the first GPU that a backend can use."""
    if backend == "jax":
        import jax

        return next((d.device_kind for d in jax.devices() if d.platform == "gpu"), None)
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def load_pubfig83(source: Path) -> FaceDataset:
    """Load PubFig83 at 32 x 32 pixels, with the split of the configurations."""
    return data.load(DatasetConfig(name="pubfig83", queries_per_identity=5), source)


def allow_tf32(backend: str, allowed: bool) -> None:
    """Enable or disable TF32 in products and convolutions of float32 arrays."""
    if backend == "jax":
        import jax

        precision = "tensorfloat32" if allowed else "float32"
        jax.config.update("jax_default_matmul_precision", precision)
        return
    import torch

    if hasattr(torch.backends, "fp32_precision"):  # since torch 2.9, for all kinds of products
        torch.backends.fp32_precision = "tf32" if allowed else "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def train(turn: Turn) -> dict[str, Any]:
    """Train in this process in every way, then measure the peak at the same precision."""
    start_backend(turn.backend)
    from benchmarks.training.flops import matrix_peak, training_flops

    half = turn.precision == "bfloat16"
    allow_tf32(turn.backend, turn.precision == "tf32")
    source = Path(turn.data) if turn.data else None
    faces = load_pubfig83(source) if source else make_faces(turn.images, turn.people)
    images = faces.read(faces.train)
    people, classes = np.unique(faces.labels[faces.train], return_inverse=True)
    ways, flops = {}, 0
    for way in WAYS:
        model, found = train_in_one_way(turn, way, images, classes.astype(np.int32))
        flops, ways[way] = training_flops(model), found
    # After training: cuBLAS reads the setting for reproducible results at its first use.
    peak = matrix_peak(turn.matrix_side, dtype="bfloat16" if half else "float32")
    for found in ways.values():
        gflops = found["images_a_second"] * flops / 1e9
        found["gflops"], found["share_of_peak"] = round(gflops, 3), round(gflops / peak, 5)
    return {
        "images": len(images),
        "identities": len(people),
        "ways": ways,
        "peak_gflops": round(peak, 3),
    }


def train_in_one_way(
    turn: Turn, way: str, images: np.ndarray, classes: np.ndarray
) -> tuple[Any, dict[str, Any]]:
    """Train a new model; return it and its speed."""
    import keras

    from benchmarks.clock import EpochClock
    from facehash.learning.accelerator.steps import steps_per_call
    from facehash.learning.batches import ShuffledBatches
    from facehash.learning.callbacks import BackupWriter, BestWeights, EpochState, History
    from facehash.learning.preparation import pixel_statistics
    from facehash.learning.training import compile_model

    training = {"batch": turn.batch, "epochs": turn.epochs, "patience": None}
    training["precision"] = "mixed_bfloat16" if turn.precision == "bfloat16" else "float32"
    augmentation = AUGMENTATION if way == "ours, augmented" else None
    config = configure(turn.method, training, augmentation)
    keras.utils.set_random_seed(config.seed)
    people = [str(person) for person in range(int(classes.max()) + 1)]
    model = methods.build(config, people, *pixel_statistics(images))
    compile_model(model, config.training, len(images))
    clock = EpochClock()
    options = {"epochs": turn.epochs, "shuffle": False, "verbose": 0}
    if way == "bare fit":
        options |= {"shuffle": True, "batch_size": turn.batch, "callbacks": [clock]}
        history = model.fit(images, classes, **options).history
    else:
        steps = steps_per_call(images, turn.batch, 1)
        batches = ShuffledBatches(images, classes, turn.batch, config.seed, together=steps)
        with tempfile.TemporaryDirectory() as folder:
            rows = History(Path(folder) / "history.csv", [], 0)
            last = EpochState()
            best = BestWeights("loss", None, rows, last, None)
            writer = BackupWriter(Path(folder) / "backup.npz", last, best, 1e9, None, {})
            with model.kept_on_device(None if steps is None else images, turn.batch):
                callbacks = [rows, last, best, writer, clock]
                history = model.fit(batches, callbacks=callbacks, **options).history
    seconds = np.diff(clock.ends).tolist()
    return model, {
        "images_a_second": round(len(images) / statistics.median(seconds), 1),
        "epoch_seconds": [round(value, 3) for value in seconds],
        "first_epoch_seconds": round(clock.ends[0] - clock.started, 2),
        # Speed is worth nothing if the training diverges.
        "loss_of_each_epoch": [round(float(loss), 4) for loss in history["loss"]],
    }


def main() -> None:
    """Run the task of the command line, and print JSON on the last line."""
    task, argument = sys.argv[1:]
    done = find_card(argument) if task == "probe" else train(Turn(**json.loads(argument)))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
