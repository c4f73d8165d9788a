"""Train DDH through our loop, against a bare `model.fit` of the same network on arrays in memory.

    python -m benchmarks.training

Both train the same DDH on the same random images of FaceScrub's number of people, with the same
batch and backend, each in processes of its own that take turns. Timed is the call of `fit` alone:
compiling the graph counts for both; for ours also the progress bar, history.csv, the seeded order
of batches, and the copy of the best weights in memory. Backups are timed apart and taken out; their
share of the time is reported beside the ratio, as is that of writing the model at the end.

The result goes to benchmarks/results/training.json and, as a table, to the terminal.
"""

from __future__ import annotations

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
from facehash import methods
from facehash.config import RunConfig, check_config
from facehash.dataset import FaceDataset
from facehash.files import write_json
from facehash.learning.backend import choose_backend, start_backend

RESULT = Path(__file__).parent / "results" / "training.json"
PEOPLE, BITS = 530, 48
WAYS = ("ours", "bare fit")
BAR = 0.95


def configure(epochs: int, batch: int) -> RunConfig[Any]:
    """Configure the published DDH, for random images that have no place on disk."""
    training = {"epochs": epochs, "batch": batch, "patience": None}
    tree = {"method": "ddh", "bits": BITS, "dataset": {"name": "random"}, "training": training}
    return check_config(tree, methods.options_class, "benchmark")


def make_faces(images: int) -> FaceDataset:
    """Draw random images; the time of a step does not depend on what they show."""
    rng = np.random.default_rng(20171)
    rows = np.arange(images)
    return FaceDataset(
        name="random",
        images=rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8),
        labels=rows % PEOPLE,
        identities=tuple(str(person) for person in range(PEOPLE)),
        train=rows,
        gallery=rows,
        query=rows,
        protocol="seen",
    )


def train_ours(faces: FaceDataset, config: RunConfig[Any]) -> dict[str, float]:
    """Train as train.py does, and split the time into fitting, backups and the final write."""
    from facehash.learning.hash_model import HashModel
    from facehash.learning.training import train
    from facehash.runs import RunDirectory

    seconds = {}

    def timed(name: str) -> Any:
        original = getattr(HashModel, name)

        @functools.wraps(original)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            result = original(*arguments, **options)
            seconds[name] = time.perf_counter() - started
            return result

        return wrapper

    HashModel.fit, HashModel.save = timed("fit"), timed("save")
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        outcome = train(config, faces, run, functools.partial(methods.build, config))
    return {
        "fit_seconds": seconds["fit"] - outcome.backup_seconds,
        "backup_seconds": outcome.backup_seconds,
        "save_seconds": seconds["save"],
    }


def train_bare(faces: FaceDataset, config: RunConfig[Any]) -> dict[str, float]:
    """Train the same network by nothing but Keras."""
    import keras

    from facehash.learning.preparation import pixel_statistics

    keras.utils.set_random_seed(config.seed)
    images = np.asarray(faces.images)
    model = methods.build(config, faces.identities, *pixel_statistics(images))
    model.compile(optimizer=keras.optimizers.Adam(config.training.learning_rate))
    classes = faces.labels.astype(np.int32)
    started = time.perf_counter()
    model.fit(
        images,
        classes,
        batch_size=config.training.batch,
        epochs=config.training.epochs,
        verbose=0,
    )
    return {"fit_seconds": time.perf_counter() - started}


def measure(way: str, images: int, epochs: int, batch: int) -> dict[str, float]:
    """Train in this process."""
    start_backend(choose_backend())
    faces, config = make_faces(images), configure(epochs, batch)
    return (train_ours if way == "ours" else train_bare)(faces, config)


def measure_apart(way: str, options: argparse.Namespace) -> dict[str, float]:
    """Train in a new process."""
    command = [sys.executable, "-m", "benchmarks.training", "--way", way]
    for name in ("images", "epochs", "batch"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Let the ways take turns, and compare their medians."""
    backend = choose_backend()
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for turn in range(options.repeats):
        for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
            turns[way].append(measure_apart(way, options))
    trained = options.images * options.epochs
    speeds = {way: [trained / turn["fit_seconds"] for turn in turns[way]] for way in WAYS}
    medians = {way: statistics.median(speeds[way]) for way in WAYS}
    ratio = medians["ours"] / medians["bare fit"]
    ours = {key: statistics.median(t[key] for t in turns["ours"]) for key in turns["ours"][0]}
    whole = sum(ours.values())
    return {
        "what": "DDH, images a second of training",
        "size": {
            "images": options.images,
            "epochs": options.epochs,
            "batch": options.batch,
            "identities": PEOPLE,
            "bits": BITS,
        },
        "machine": describe_machine("keras", backend, "numpy"),
        "backend": backend,
        "images_a_second": {
            way: {"median": round(medians[way]), "all": [round(speed) for speed in speeds[way]]}
            for way in WAYS
        },
        "ratio_ours_to_bare_fit": round(ratio, 3),
        "share_of_time_in_backups": round(ours["backup_seconds"] / whole, 4),
        "share_of_time_writing_the_model": round(ours["save_seconds"] / whole, 4),
        "bars": {f"at least {BAR} of a bare fit": ratio >= BAR},
    }


def table(result: dict[str, Any]) -> str:
    """Lay out a result for the terminal."""
    lines = [f"{'way':<12}{'images/s':>10}  (median; all turns)"]
    for way, speed in result["images_a_second"].items():
        lines.append(f"{way:<12}{speed['median']:>10,}  {speed['all']}")
    lines += [
        f"ours / bare fit: {result['ratio_ours_to_bare_fit']}",
        f"backups: {result['share_of_time_in_backups']:.2%} of the time, "
        f"writing the model: {result['share_of_time_writing_the_model']:.2%}",
    ]
    lines += [f"{'met' if met else 'MISSED'}: {bar}" for bar, met in result["bars"].items()]
    return "\n".join(lines)


def main() -> None:
    """Run the whole comparison, or one way of it for the process that compares."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Train DDH through our loop, against a bare model.fit.",
        epilog="example: KERAS_BACKEND=jax python -m benchmarks.training --repeats 3",
    )
    parser.add_argument("--images", type=int, default=32_768, help="training images")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each way")
    parser.add_argument("--way", choices=WAYS, help="measure only this, print JSON, store nothing")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.images, options.epochs, options.batch)))
        return
    result = compare(options)
    write_json(RESULT, result)
    print(table(result))


if __name__ == "__main__":
    main()
