"""Train DDH and DCBH on a GPU, and compare the speed with the peak of the card.

    python -m benchmarks.gpu_training [--backend jax] [--backend torch] [--data DIR]

On every backend that finds a GPU, each network is trained in three ways in the same process: our
training with flips and shifts of 2 pixels, the same without them, and a bare `fit` on the arrays.
The first epoch, which compiles, is not timed. The images are random, with the number of people of
FaceScrub; with --data also the training images of PubFig83 at 32 x 32 pixels. Precision: bfloat16;
--precision chooses others. The peak is the speed of a large matrix product with the same framework,
precision and card. The benchmark takes less than four minutes: what it has not begun by --seconds
is reported as not measured. TensorFlow is not needed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

import typer

from benchmarks.machine import describe_machine
from benchmarks.training.gpu_turn import Precision, Turn, load_pubfig83
from benchmarks.training.random_faces import BITS, PEOPLE
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run
from facehash.errors import InputError
from facehash.files import write_json

RESULT = Path(__file__).parents[1] / "results" / "gpu_training.json"
# About as many as FaceScrub has, in whole calls of 32 steps; fewer on PyTorch, which is slower.
IMAGES = {"jax": 65_536, "torch": 16_384}
BARS = {  # images per second with augmentation, in bfloat16, on one H100
    ("jax", "dcbh"): 150_000,
    ("jax", "ddh"): 500_000,
    ("torch", "dcbh"): 50_000,
}
# Hides every GPU.
_ON_CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "KERAS_TORCH_DEVICE": "cpu"}

app = make_app("Train DDH and DCBH on a GPU, and compare the speed with the peak of the card.")

BackendName = Enum("BackendName", {name: name for name in IMAGES}, type=str)
MethodName = Enum("MethodName", {"ddh": "ddh", "dcbh": "dcbh"}, type=str)
PrecisionName = Enum("PrecisionName", {name: name for name in get_args(Precision)}, type=str)


@app.command(epilog="Example: python -m benchmarks.gpu_training --backend torch --data DIR")
def measure(
    backend: Annotated[
        list[BackendName] | None, typer.Option(help="Default: jax and torch, where installed.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="PubFig83: <person>/<image>.jpg")] = None,
    device: Annotated[
        Literal["gpu", "cpu"], typer.Option(help="cpu: only to try the benchmark.")
    ] = "gpu",
    method: Annotated[list[MethodName], typer.Option()] = [  # noqa: B006
        MethodName["dcbh"],
        MethodName["ddh"],
    ],
    precision: Annotated[list[PrecisionName], typer.Option()] = [  # noqa: B006
        PrecisionName["bfloat16"]
    ],
    images: Annotated[
        int | None, typer.Option(min=1, help="Number of random images. Default: by backend.")
    ] = None,
    people: Annotated[int, typer.Option(min=2, help="People in the random images.")] = PEOPLE,
    batch: Annotated[int, typer.Option(min=1)] = 256,
    epochs: Annotated[int, typer.Option(min=2, help="The first is not timed.")] = 4,
    matrix_side: Annotated[int, typer.Option(min=1, help="Size of the matrices.")] = 8192,
    seconds: Annotated[float, typer.Option(min=0, help="Begin nothing after this time.")] = 180,
    output: Annotated[
        Path | None, typer.Option(help="Default: benchmarks/results; none with --device cpu.")
    ] = None,
) -> int:
    """Measure every backend, method and precision, each in its own process."""
    started = time.monotonic()
    wanted = [name.value for name in backend] if backend else list(IMAGES)
    if device == "cpu":
        environment = os.environ | _ON_CPU
        cards = {name: "cpu" for name in wanted if importlib.util.find_spec(name)}
    else:
        environment = dict(os.environ)
        cards = find_cards(wanted)
    if data is not None:
        load_pubfig83(data)  # reports wrong data once, before any measurement

    rows = []
    for chosen in cards:
        for source in [None, *([str(data)] if data else [])]:
            for name in method:
                for kind in precision:
                    size = (images or IMAGES[chosen], people, batch, epochs, matrix_side)
                    turn = Turn(chosen, name.value, kind.value, source, *size)
                    label = {"backend": chosen, "data": "pubfig83" if source else "random"}
                    label |= {"method": turn.method, "precision": turn.precision}
                    if time.monotonic() - started > seconds:
                        rows.append(label | {"not_measured": "out of time"})
                        continue
                    print(*label.values(), "...", file=sys.stderr, flush=True)
                    rows.append(label | _take(turn, environment))
    result = {
        "what": "training speed on a GPU",
        "device": ", ".join(sorted(set(cards.values()))),
        "machine": describe_machine("keras", *cards, "numpy"),
        "size": {"batch": batch, "bits": BITS, "side": 32, "epochs_timed": epochs - 1},
        "peak": f"median product of two matrices of {matrix_side} x {matrix_side}",
        "turns": rows,
        "seconds": round(time.monotonic() - started, 1),
        "bars": judge(rows),
    }
    path = output or (RESULT if device == "gpu" else None)
    if path:
        write_json(path, result)
    print(table(result))
    return PARTLY_FAILED if any("not_measured" in row for row in rows) else DONE


def judge(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return for every bar whether it is met, missed or not measured."""
    speeds = {
        (row["backend"], row["method"]): row["ways"]["ours, augmented"]["images_a_second"]
        for row in rows
        if row["data"] == "random" and row["precision"] == "bfloat16" and "ways" in row
    }
    return {
        f"{method.upper()} on {backend}: at least {bar:,} images/s": (
            "not measured"
            if (backend, method) not in speeds
            else "met"
            if speeds[backend, method] >= bar
            else "missed"
        )
        for (backend, method), bar in BARS.items()
    }


def find_cards(wanted: list[str]) -> dict[str, str]:
    """Find the backends that can use a GPU.

    Returns:
        The name of the card of each backend that is installed and finds one.

    Raises:
        InputError: None of them does.
    """
    cards = {}
    for backend in wanted:
        if importlib.util.find_spec(backend) is None:
            continue
        # Finding out reserves memory of the card, so another process does it.
        done = _start("probe", backend, dict(os.environ))
        if card := json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None:
            cards[backend] = card
    if not cards:
        raise InputError(
            f"{' or '.join(wanted)} finds no GPU; --device cpu trains on the processor"
        )
    return cards


def table(result: dict[str, Any]) -> str:
    """Format a result for the terminal."""
    lines = [result["device"]]
    head = f"{'backend':<9}{'data':<10}{'method':<8}{'precision':<11}{'way':<17}{'images/s':>12}"
    lines.append(f"{head}{'GFLOP/s':>12}{'peak':>12}{'share':>9}")
    for row in result["turns"]:
        start = f"{row['backend']:<9}{row['data']:<10}{row['method']:<8}{row['precision']:<11}"
        if "not_measured" in row:
            lines.append(f"{start}{'-':<17}{row['not_measured']}")
            continue
        for way, found in row["ways"].items():
            line = f"{start}{way:<17}{found['images_a_second']:>12,.0f}{found['gflops']:>12,.1f}"
            lines.append(f"{line}{row['peak_gflops']:>12,.1f}{found['share_of_peak']:>9.2%}")
    return "\n".join([*lines, *(f"{bar}: {said}" for bar, said in result["bars"].items())])


def _take(turn: Turn, environment: dict[str, str]) -> dict[str, Any]:
    done = _start("train", json.dumps(asdict(turn)), environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    print(done.stderr[-2000:], file=sys.stderr)
    # Only the kind of the error: its message may contain a path.
    return {"not_measured": lines[-1].split(":")[0][:100]}


def _start(
    task: str, argument: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.training.gpu_turn", task, argument]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "python -m benchmarks.gpu_training")
