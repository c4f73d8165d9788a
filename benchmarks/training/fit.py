"""Compare the training loop of this project with the simplest ones, on arrays in memory.

    python -m benchmarks.training

Four ways train the same network on the same random images, each in its own process: our training
with and without flips and shifts, a plain `model.fit`, and a loop without Keras's trainer (see
`benchmarks.training.bare_loop`). The first epoch, which compiles, is not timed. The epochs of our
loop include progress bar, history.csv, seeded order of the batches and copies of the weights;
writing backups and the model is reported apart.

The speed of a shared machine varies, so the ways take turns, in alternating order. The result is
the median of the turns' ratios, with the faster of the two simple loops of each turn; a bar is met
if the lower quartile reaches it.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.pairs import ratio, verdict
from benchmarks.training.random_faces import BITS, PEOPLE, configure, make_faces
from facehash import methods
from facehash.config import RunConfig
from facehash.dataset import FaceDataset
from facehash.files import write_json
from facehash.learning.backend import choose_backend, start_backend

RESULT = Path(__file__).parents[1] / "results" / "training.json"
WAYS = ("ours", "ours, augmented", "bare fit", "bare loop")
BARE = WAYS[2:]
BAR, AUGMENTED_BAR = 0.95, 0.9
AUGMENTATION = {"flip": True, "shift": 2}  # as in the configurations of PubFig83


def train_ours(faces: FaceDataset, config: RunConfig[Any]) -> dict[str, float]:
    """Train like train.py, and time the epochs, the backups and writing the model."""
    from benchmarks.clock import EpochClock
    from facehash.learning.hash_model import HashModel
    from facehash.learning.training import train
    from facehash.runs.directory import RunDirectory

    clock, fit, save = EpochClock(), HashModel.fit, HashModel.save
    seconds = {}

    @functools.wraps(fit)
    def timed_fit(self: Any, *arguments: Any, **options: Any) -> Any:
        options["callbacks"] = [*options["callbacks"], clock]
        return fit(self, *arguments, **options)

    @functools.wraps(save)
    def timed_save(*arguments: Any, **options: Any) -> None:
        started = time.perf_counter()
        save(*arguments, **options)
        seconds["save_seconds"] = time.perf_counter() - started

    HashModel.fit, HashModel.save = timed_fit, timed_save
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        with run.begin(config.to_yaml()):
            outcome = train(config, faces, run, functools.partial(methods.build, config))
    backups = outcome.backup_seconds
    return {
        "first_epoch_seconds": clock.ends[0] - clock.started,
        "epoch_seconds": clock.ends[-1] - clock.ends[0] - backups,
        "backup_seconds": backups,
        **seconds,
    }


def train_bare(faces: FaceDataset, config: RunConfig[Any], way: str) -> dict[str, float]:
    """Train the same network with Keras alone, or without its trainer."""
    import keras

    from benchmarks.clock import EpochClock
    from facehash.learning.preparation import pixel_statistics

    keras.utils.set_random_seed(config.seed)
    images, labels = np.asarray(faces.images), faces.labels.astype(np.int32)
    training, clock = config.training, EpochClock()
    model = methods.build(config, faces.identities, *pixel_statistics(images))
    model.compile(optimizer=keras.optimizers.Adam(training.learning_rate))
    if way == "bare loop":
        from benchmarks.training.bare_loop import train_bare_loop

        model.optimizer.build(model.trainable_variables)
        started, ends, _ = train_bare_loop(
            model, images, labels, training.batch, training.epochs, config.seed
        )
    else:
        model.fit(
            images,
            labels,
            batch_size=training.batch,
            epochs=training.epochs,
            verbose=0,
            callbacks=[clock],
        )
        started, ends = clock.started, clock.ends
    return {"first_epoch_seconds": ends[0] - started, "epoch_seconds": ends[-1] - ends[0]}


def measure(way: str, options: argparse.Namespace) -> dict[str, float]:
    """Train in this process."""
    start_backend(choose_backend())
    training = {"epochs": options.epochs, "batch": options.batch, "patience": None}
    # Not part of an epoch, and long for the ten layers of DCBH.
    training["reestimate_statistics"] = False
    augmentation = AUGMENTATION if way == "ours, augmented" else {}
    config = configure(options.method, training, augmentation)
    faces = make_faces(options.images)
    return train_bare(faces, config, way) if way in BARE else train_ours(faces, config)


def measure_in_process(way: str, options: argparse.Namespace) -> dict[str, float]:
    """Train in a new process."""
    command = [sys.executable, "-m", "benchmarks.training", "--way", way]
    for name in ("method", "images", "epochs", "batch"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Take turns, and compute the ratios within each turn."""
    backend = choose_backend()
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for pair in range(options.pairs):
        for way in WAYS if pair % 2 == 0 else WAYS[::-1]:
            turns[way].append(measure_in_process(way, options))
    trained = options.images * (options.epochs - 1)
    seconds = {way: [turn["epoch_seconds"] for turn in turns[way]] for way in WAYS}
    speeds = {way: [trained / second for second in seconds[way]] for way in WAYS}
    found, augmented = ratio(seconds, "ours", BARE), ratio(seconds, "ours, augmented", ("ours",))
    ours = {key: statistics.median(t[key] for t in turns["ours"]) for key in turns["ours"][0]}
    whole = sum(ours.values())
    return {
        "what": f"training speed of {options.method.upper()}",
        "size": {
            "images": options.images,
            "epochs_timed": options.epochs - 1,
            "batch": options.batch,
            "identities": PEOPLE,
            "bits": BITS,
        },
        "machine": describe_machine("keras", backend, "numpy"),
        "backend": backend,
        "images_a_second": {
            way: {
                "median": round(statistics.median(speeds[way])),
                "all": [round(speed) for speed in speeds[way]],
            }
            for way in WAYS
        },
        "first_epoch_seconds": {
            way: round(statistics.median(turn["first_epoch_seconds"] for turn in turns[way]), 2)
            for way in WAYS
        },
        "ratio_ours_to_the_faster_bare_loop": found,
        "ratio_bare_loop_to_bare_fit": ratio(seconds, "bare loop", ("bare fit",)),
        "ratio_augmented_to_not": augmented,
        "share_of_time_in_backups": round(ours["backup_seconds"] / whole, 4),
        "share_of_time_writing_the_model": round(ours["save_seconds"] / whole, 4),
        "bars": {
            f"at least {BAR} of a bare loop": verdict(found, BAR),
            f"with flips and shifts, at least {AUGMENTED_BAR} of the speed without": verdict(
                augmented, AUGMENTED_BAR
            ),
        },
    }


def main() -> None:
    """Run the comparison, or a single way in a process that the comparison started."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Compare our training loop with a plain model.fit and with a bare loop.",
        epilog="Example: KERAS_BACKEND=jax python -m benchmarks.training --pairs 4",
    )
    parser.add_argument("--images", type=int, default=12_288, help="number of training images")
    parser.add_argument("--epochs", type=int, default=5, help="the first is not timed")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--method", choices=("ddh", "dcbh"), default="ddh")
    parser.add_argument("--pairs", type=int, default=8, help="number of turns of all ways")
    parser.add_argument("--output", type=Path, default=RESULT, help="default: beside this file")
    parser.add_argument("--way", choices=WAYS, help="measure only this way and print JSON")
    options = parser.parse_args()
    if options.epochs < 2 or options.pairs < 2:
        parser.error("--epochs and --pairs must be at least 2")
    if options.way:
        print(json.dumps(measure(options.way, options)))
        return
    result = compare(options)
    write_json(options.output, result)
    print(json.dumps(result, indent=1))
