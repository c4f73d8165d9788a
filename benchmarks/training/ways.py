"""One way of training for `benchmarks.training.fit`, in its own process.

    python -m benchmarks.training.ways WAY       a Way as JSON

The process trains while it has the turn, a few steps at a time, and then waits for the next one: it
reads a line from standard input at the start of each turn, and writes a line of JSON to standard
output at its end. The first turn is the first epoch, which compiles. The line after the last step
has the seconds to write the last state and the model, where that is done.
"""

import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.random_faces import AUGMENTATION, configure, make_faces
from facehash import methods
from facehash.config import RunConfig
from facehash.dataset import FaceDataset
from facehash.learning.backend import choose_backend, start_backend

OURS, AUGMENTED, FIT, LOOP, EQUAL_LOOP = WAYS = (
    "ours",
    "ours, augmented",
    "bare fit",
    "bare loop",
    "bare loop, memory as ours",
)


@dataclass(frozen=True)
class Way:
    """What one process trains."""

    name: str  # one of WAYS
    method: str
    images: int
    batch: int
    epochs: int
    steps: int  # per turn; an epoch is a whole number of turns

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch."""
        return self.images // self.batch


class Turns:
    """Trains in turns with other processes, and tells the seconds of each turn.

    Args:
        first: Steps of the first turn.
        steps: Steps of each later turn.
        number: Number of steps, after which a last turn lasts until the process ends.
    """

    def __init__(self, first: int, steps: int, number: int) -> None:
        self.ends = {*range(first, number + 1, steps)}
        self.done = 0

    def begin(self) -> None:
        """Wait for the turn."""
        if not sys.stdin.readline():
            sys.exit("no further turn")
        self._started = time.perf_counter()

    def step(self, finish: Callable[[], object]) -> None:
        """Count a step, and wait if it was the last one of the turn.

        Args:
            finish: Waits for the end of the step, which JAX computes beside the host.
        """
        self.done += 1
        if self.done in self.ends:
            finish()
            print(json.dumps(time.perf_counter() - self._started), flush=True)
            self.begin()


def train_ours(faces: FaceDataset, config: RunConfig[Any], turns: Turns) -> dict[str, float]:
    """Train like train.py, and time writing the last state and the model."""
    from facehash.learning.backup import Backup
    from facehash.learning.hash_model import HashModel
    from facehash.learning.training import train
    from facehash.runs.directory import RunDirectory

    turns_of_fit, fit = _turns_of_fit(turns), HashModel.fit
    seconds: dict[str, float] = {}

    @functools.wraps(fit)
    def fit_in_turns(self: Any, *arguments: Any, **options: Any) -> Any:
        options["callbacks"] = [*options["callbacks"], turns_of_fit]
        return fit(self, *arguments, **options)

    def time_calls(owner: type, method: str, name: str) -> None:
        function = getattr(owner, method)

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> None:
            started = time.perf_counter()
            function(*arguments, **options)
            seconds[name] = time.perf_counter() - started

        setattr(owner, method, timed)

    HashModel.fit = fit_in_turns
    time_calls(Backup, "write", "state")
    time_calls(HashModel, "save", "model")
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        with run.begin(config.to_yaml()):
            train(config, faces, run, functools.partial(methods.build, config))
    return seconds


def train_bare(faces: FaceDataset, config: RunConfig[Any], way: str, turns: Turns) -> None:
    """Train the same network with Keras alone, or without its trainer."""
    import keras

    from facehash.learning.preparation import pixel_statistics

    keras.utils.set_random_seed(config.seed)
    images, labels = np.asarray(faces.images), faces.labels.astype(np.int32)
    training = config.training
    model = methods.build(config, faces.identities, *pixel_statistics(images))
    model.compile(optimizer=keras.optimizers.Adam(training.learning_rate))
    if way == FIT:
        options = {"batch_size": training.batch, "epochs": training.epochs, "verbose": 0}
        model.fit(images, labels, callbacks=[_turns_of_fit(turns)], **options)
        return
    from benchmarks.training.bare_loop import train_bare_loop

    model.optimizer.build(model.trainable_variables)
    turns.begin()
    train_bare_loop(
        *(model, images, labels, training.batch, training.epochs, config.seed),
        after_step=lambda loss: turns.step(lambda: float(loss)),
    )


def _turns_of_fit(turns: Turns) -> Any:
    """Return a callback of Keras that trains in turns."""
    import keras

    def finish(logs: Any) -> list[Any]:
        return [keras.ops.convert_to_numpy(value) for value in (logs or {}).values()]

    return keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: turns.begin(),
        on_train_batch_end=lambda batch, logs: turns.step(lambda: finish(logs)),
    )


def train_one_way(way: Way) -> dict[str, float]:
    """Train in this process; return the seconds to write its files."""
    start_backend(choose_backend())
    training = {"epochs": way.epochs, "batch": way.batch, "patience": None}
    # Not part of an epoch: long for the ten layers of DCBH, and due after seconds, even of waiting.
    training |= {"reestimate_statistics": False, "backup_seconds": 1e9}
    config = configure(way.method, training, AUGMENTATION if way.name == AUGMENTED else {})
    faces = make_faces(way.images)
    turns = Turns(way.epoch_steps, way.steps, way.epochs * way.epoch_steps)
    if way.name in (OURS, AUGMENTED):
        return train_ours(faces, config, turns)
    train_bare(faces, config, way.name, turns)
    return {}


def main() -> None:
    """Train in the way of the command line."""
    print(json.dumps(train_one_way(Way(**json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
