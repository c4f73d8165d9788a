"""Train DDH and DCBH on a GPU: how fast, and which share of what the card can do.

    python -m benchmarks.gpu_training [--backend jax|torch] [--data DIR]

Random images of FaceScrub's number and people, and the training images of PubFig83 at 32 x 32 when
--data says where they are; float32, TF32 and bfloat16. Timed is `fit` with our batches, from memory
to the card, without the first epoch, which compiles. The share is that of the speed of a large
matrix product of the same framework, at the same precision, on the same card.

The result goes to benchmarks/results/gpu_training.json and, as a table, to the terminal.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from benchmarks.machine import describe_machine
from benchmarks.training.gpu_turn import Turn, load_pubfig83
from benchmarks.training.random_faces import BITS, PEOPLE
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run
from facehash.errors import InputError
from facehash.files import write_json

RESULT = Path(__file__).parents[1] / "results" / "gpu_training.json"
IMAGES = 67_177
"""Training images of FaceScrub."""

# Whatever card there is, none of it is seen.
_ON_CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "KERAS_TORCH_DEVICE": "cpu"}

app = make_app("Train DDH and DCBH on a GPU, and compare the speed with what the card can do.")

Backend = Enum("Backend", {"jax": "jax", "torch": "torch"}, type=str)
Device = Enum("Device", {"gpu": "gpu", "cpu": "cpu"}, type=str)
MethodName = Enum("MethodName", {"ddh": "ddh", "dcbh": "dcbh"}, type=str)
PrecisionName = Enum("PrecisionName", {p: p for p in ("float32", "tf32", "bfloat16")}, type=str)


@app.command(epilog="Example: python -m benchmarks.gpu_training --backend torch --data DIR")
def measure(
    backend: Annotated[
        Backend | None, typer.Option(help="Default: the first of them that sees a GPU.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="PubFig83: <person>/<image>.jpg")] = None,
    device: Annotated[Device, typer.Option(help="cpu only shows that this works.")] = Device.gpu,
    method: Annotated[list[MethodName], typer.Option()] = list(MethodName),  # noqa: B006
    precision: Annotated[list[PrecisionName], typer.Option()] = list(PrecisionName),  # noqa: B006
    images: Annotated[int, typer.Option(min=1, help="Random images.")] = IMAGES,
    people: Annotated[int, typer.Option(min=2, help="Among the random images.")] = PEOPLE,
    batch: Annotated[int, typer.Option(min=1)] = 256,
    epochs: Annotated[int, typer.Option(min=2, help="The first is not timed.")] = 4,
    matrix_side: Annotated[int, typer.Option(min=1, help="Of the peak's matrices.")] = 8192,
    output: Annotated[
        Path | None, typer.Option(help="Default: beside this file; for cpu nowhere.")
    ] = None,
) -> int:
    """Measure every method at every precision, each in a process of its own."""
    if device is Device.cpu:
        environment = os.environ | _ON_CPU
        chosen, card = (backend.value if backend else "jax"), "cpu"
    else:
        environment = dict(os.environ)
        chosen, card = find_backend(backend.value if backend else None)
    if data is not None:
        load_pubfig83(data)  # wrong data is told once, before anything is measured

    rows = []
    for source in [None, *([str(data)] if data else [])]:
        for name in method:
            for kind in precision:
                size = (images, people, batch, epochs, matrix_side)
                turn = Turn(chosen, name.value, kind.value, source, *size)
                label = {"data": "pubfig83" if source else "random"}
                label |= {"method": turn.method, "precision": turn.precision}
                print(*label.values(), "...", file=sys.stderr, flush=True)
                rows.append(label | _take(turn, environment))
    result = {
        "what": "images a second of training on a GPU",
        "device": card,
        "backend": chosen,
        "machine": describe_machine("keras", chosen, "numpy"),
        "size": {"batch": batch, "bits": BITS, "side": 32, "epochs_timed": epochs - 1},
        "peak": f"median product of two {matrix_side} x {matrix_side} matrices",
        "turns": rows,
    }
    path = output or (RESULT if device is Device.gpu else None)
    if path:
        write_json(path, result)
    print(table(result))
    return PARTLY_FAILED if any("not_measured" in row for row in rows) else DONE


def find_backend(wanted: str | None) -> tuple[str, str]:
    """Find a backend that sees a GPU.

    Args:
        wanted: ``jax`` or ``torch``; None tries them in this order.

    Returns:
        The backend, and its card's name.

    Raises:
        InputError: None does.
    """
    tried = [wanted] if wanted else ["jax", "torch"]
    for backend in tried:
        if importlib.util.find_spec(backend) is None:
            continue
        # Asking takes hold of the card, so another process asks.
        done = _start("probe", backend, dict(os.environ))
        card = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
        if card:
            return backend, card
    raise InputError(
        f"{' or '.join(tried)} can use no GPU here; --device cpu trains on the processor"
    )


def table(result: dict[str, Any]) -> str:
    """Lay out a result for the terminal."""
    lines = [f"{result['device']}, {result['backend']}"]
    head = f"{'data':<10}{'method':<8}{'precision':<11}{'images/s':>12}{'GFLOP/s':>12}"
    lines.append(f"{head}{'peak':>12}{'share':>9}")
    for row in result["turns"]:
        line = f"{row['data']:<10}{row['method']:<8}{row['precision']:<11}"
        if "not_measured" in row:
            lines.append(f"{line}{'-':>12}  {row['not_measured']}")
            continue
        line += f"{row['images_a_second']:>12,.0f}{row['gflops']:>12,.1f}"
        lines.append(f"{line}{row['peak_gflops']:>12,.1f}{row['share_of_peak']:>9.2%}")
    return "\n".join(lines)


def _take(turn: Turn, environment: dict[str, str]) -> dict[str, Any]:
    done = _start("train", json.dumps(asdict(turn)), environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    print(done.stderr[-2000:], file=sys.stderr)
    # The error's kind alone: what follows may hold a path.
    return {"not_measured": lines[-1].split(":")[0][:100]}


def _start(
    task: str, argument: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.training.gpu_turn", task, argument]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "python -m benchmarks.gpu_training")
