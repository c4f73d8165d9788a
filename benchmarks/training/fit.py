"""Compare the training loop of this project with the simplest ones, on arrays in memory.

    python -m benchmarks.training

The same network is trained on the same random images, each way in its own process: our training
with and without flips and shifts, a plain `model.fit`, and a loop without Keras's trainer (see
`benchmarks.training.bare_loop`). The first epoch, which compiles, is not timed. The epochs of our
loop include progress bar, history.csv, seeded order of the batches and copies of weights and state;
writing the last state, as backups do every 30 seconds, and the model is reported apart.

Our processes have the memory settings of train.py, see `facehash.learning.memory`. The others have
those of the system, except a second loop without Keras's trainer, which shows what else is
different. On JAX, `model.fit` waits after every step, as Keras does for any callback; ours does
too.

The speed of a shared machine varies from second to second, so the ways take turns of a few steps,
in random order, while the others wait. All turns of an epoch together give one ratio; the result is
the median of these, with the faster of the two simple loops in each epoch. A bar is met if the
lower quartile reaches it. All of it is repeated in new processes, because the speed of a program
also depends on where its arrays happen to lie in memory.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.pairs import ratio, verdict
from benchmarks.training.random_faces import BITS, PEOPLE
from benchmarks.training.ways import AUGMENTED, EQUAL_LOOP, FIT, LOOP, OURS, WAYS, Way
from facehash.files import write_json
from facehash.learning.backend import choose_backend
from facehash.learning.memory import VARIABLES, memory_settings

RESULT = Path(__file__).parents[1] / "results" / "training.json"
BARE = (FIT, LOOP)
BAR, AUGMENTED_BAR = 0.95, 0.9


class Process:
    """A process that trains in one way, and waits between its turns."""

    def __init__(self, way: Way) -> None:
        command = [sys.executable, "-m", "benchmarks.training.ways", json.dumps(asdict(way))]
        pipe = subprocess.PIPE
        environment = {k: v for k, v in os.environ.items() if not k.startswith(VARIABLES)}
        if way.name in (OURS, AUGMENTED, EQUAL_LOOP):
            environment |= memory_settings(environment)
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        )

    def turn(self) -> Any:
        """Let it go on until it waits again or ends, and return what it tells."""
        with contextlib.suppress(BrokenPipeError):  # it has ended
            print(file=self._process.stdin, flush=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"a training ended with exit status {self._process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()


@contextlib.contextmanager
def started(options: argparse.Namespace) -> Iterator[dict[str, Process]]:
    """Start a process for each way."""
    sizes = {name: getattr(options, name) for name in ("method", "images", "batch", "steps")}
    processes = {}
    try:
        for name in WAYS:
            processes[name] = Process(Way(name=name, epochs=options.epochs, **sizes))
        yield processes
    finally:
        for process in processes.values():
            process.end()


def train_in_turns(options: argparse.Namespace, rng: np.random.Generator) -> dict[str, Any]:
    """Train once in every way.

    Returns:
        By way: the seconds of each epoch, and of writing its files.
    """
    per_epoch = options.images // options.batch // options.steps
    with started(options) as processes:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(1 + (options.epochs - 1) * per_epoch):
            for way in rng.permutation(WAYS):
                seconds[way].append(processes[way].turn())
        writing = {way: process.turn() for way, process in processes.items()}
    return {
        way: {
            "epochs": [turns[0], *np.reshape(turns[1:], (-1, per_epoch)).sum(axis=1).tolist()],
            "writing": writing[way],
        }
        for way, turns in seconds.items()
    }


def describe_memory() -> dict[str, str | None]:
    """Return what the settings of our processes are, and what they depend on."""
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "settings_of_ours": memory_settings({}).get("GLIBC_TUNABLES"),
        "c_library": " ".join(platform.libc_ver()),
        "transparent_huge_pages": mode.read_text().strip() if mode.exists() else None,
    }


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Train several times in every way, and compare epoch by epoch."""
    backend, rng = choose_backend(), np.random.default_rng(0)
    repeats = [train_in_turns(options, rng) for _ in range(options.repeats)]
    trained = options.images // options.batch * options.batch
    seconds = {way: [s for turns in repeats for s in turns[way]["epochs"][1:]] for way in WAYS}
    speeds = {way: [trained / second for second in seconds[way]] for way in WAYS}
    found, augmented = ratio(seconds, OURS, BARE), ratio(seconds, AUGMENTED, (OURS,))
    equal = ratio(seconds, OURS, (EQUAL_LOOP,))
    return {
        "what": f"training speed of {options.method.upper()}",
        "size": {
            "images": options.images,
            "epochs_timed": options.epochs - 1,
            "repeats": options.repeats,
            "batch": options.batch,
            "steps_in_turn": options.steps,
            "identities": PEOPLE,
            "bits": BITS,
        },
        "machine": describe_machine("keras", backend, "numpy"),
        "memory": describe_memory(),
        "backend": backend,
        "images_a_second": {
            way: {
                "median": round(statistics.median(speeds[way])),
                "all": [round(speed) for speed in speeds[way]],
            }
            for way in WAYS
        },
        "first_epoch_seconds": {
            way: round(statistics.median(turns[way]["epochs"][0] for turns in repeats), 2)
            for way in WAYS
        },
        "ratio_ours_to_the_faster_bare_loop": found,
        "ratio_ours_to_a_bare_loop_with_our_memory_settings": equal,
        "ratio_bare_loop_to_bare_fit": ratio(seconds, LOOP, (FIT,)),
        "ratio_augmented_to_not": augmented,
        "seconds_of_writing": {
            file: round(statistics.median(turns[OURS]["writing"][file] for turns in repeats), 3)
            for file in ("state", "model")
        },
        "bars": {
            f"at least {BAR} of a bare loop": verdict(found, BAR),
            f"at least {BAR} of a bare loop with our memory settings": verdict(equal, BAR),
            f"with flips and shifts, at least {AUGMENTED_BAR} of the speed without": verdict(
                augmented, AUGMENTED_BAR
            ),
        },
    }


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Compare our training loop with a plain model.fit and with a bare loop.",
        epilog="Example: KERAS_BACKEND=jax python -m benchmarks.training --repeats 2",
    )
    parser.add_argument("--images", type=int, default=8192, help="number of training images")
    parser.add_argument("--epochs", type=int, default=5, help="the first is not timed")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4, help="training steps of a turn")
    parser.add_argument("--method", choices=("ddh", "dcbh"), default="ddh")
    parser.add_argument("--repeats", type=int, default=3, help="number of trainings of each way")
    parser.add_argument("--output", type=Path, default=RESULT, help="default: beside this file")
    options = parser.parse_args()
    if options.epochs < 3 or options.repeats < 1:
        parser.error("--epochs must be at least 3, --repeats at least 1")
    if options.images % (options.batch * options.steps):
        parser.error("--images must be a multiple of --batch times --steps")
    result = compare(options)
    write_json(options.output, result)
    print(json.dumps(result, indent=1))
