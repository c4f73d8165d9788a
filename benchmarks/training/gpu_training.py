"""Train DDH and DCBH on a GPU, and compare the speed with the peak of the card.

    python -m benchmarks.gpu_training [--backend jax|torch] [--data DIR]

The images are random, with the number of images and people of FaceScrub; with --data also the
training images of PubFig83 at 32 x 32 pixels. Precisions: float32, TF32 and bfloat16. The benchmark
times `fit` with our batches, from memory to the card, without the first epoch, which compiles. The
peak is the speed of a large matrix product with the same framework, precision and card.
"""

import importlib.util
import json
import os
import subprocess
import sys
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
IMAGES = 67_177  # the training images of FaceScrub
# Hides every GPU.
_ON_CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "KERAS_TORCH_DEVICE": "cpu"}

app = make_app("Train DDH and DCBH on a GPU, and compare the speed with the peak of the card.")

Backend = Literal["jax", "torch"]
MethodName = Enum("MethodName", {"ddh": "ddh", "dcbh": "dcbh"}, type=str)
PrecisionName = Enum("PrecisionName", {name: name for name in get_args(Precision)}, type=str)


@app.command(epilog="Example: python -m benchmarks.gpu_training --backend torch --data DIR")
def measure(
    backend: Annotated[Backend | None, typer.Option(help="Default: the first with a GPU.")] = None,
    data: Annotated[Path | None, typer.Option(help="PubFig83: <person>/<image>.jpg")] = None,
    device: Annotated[
        Literal["gpu", "cpu"], typer.Option(help="cpu: only to try the benchmark.")
    ] = "gpu",
    method: Annotated[list[MethodName], typer.Option()] = list(MethodName),  # noqa: B006
    precision: Annotated[list[PrecisionName], typer.Option()] = list(PrecisionName),  # noqa: B006
    images: Annotated[int, typer.Option(min=1, help="Number of random images.")] = IMAGES,
    people: Annotated[int, typer.Option(min=2, help="People in the random images.")] = PEOPLE,
    batch: Annotated[int, typer.Option(min=1)] = 256,
    epochs: Annotated[int, typer.Option(min=2, help="The first is not timed.")] = 4,
    matrix_side: Annotated[int, typer.Option(min=1, help="Size of the matrices.")] = 8192,
    output: Annotated[
        Path | None, typer.Option(help="Default: benchmarks/results; none with --device cpu.")
    ] = None,
) -> int:
    """Measure every method at every precision, each in its own process."""
    if device == "cpu":
        environment = os.environ | _ON_CPU
        chosen, card = backend or "jax", "cpu"
    else:
        environment = dict(os.environ)
        chosen, card = find_backend(backend)
    if data is not None:
        load_pubfig83(data)  # reports wrong data once, before any measurement

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
        "what": "training speed on a GPU",
        "device": card,
        "backend": chosen,
        "machine": describe_machine("keras", chosen, "numpy"),
        "size": {"batch": batch, "bits": BITS, "side": 32, "epochs_timed": epochs - 1},
        "peak": f"median product of two matrices of {matrix_side} x {matrix_side}",
        "turns": rows,
    }
    path = output or (RESULT if device == "gpu" else None)
    if path:
        write_json(path, result)
    print(table(result))
    return PARTLY_FAILED if any("not_measured" in row for row in rows) else DONE


def find_backend(wanted: str | None) -> tuple[str, str]:
    """Find a backend that can use a GPU: the one wanted, or JAX, or PyTorch.

    Returns:
        The backend and the name of its card.

    Raises:
        InputError: No backend can use a GPU.
    """
    tried = [wanted] if wanted else ["jax", "torch"]
    for backend in tried:
        if importlib.util.find_spec(backend) is None:
            continue
        # Finding out reserves memory of the card, so another process does it.
        done = _start("probe", backend, dict(os.environ))
        card = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
        if card:
            return backend, card
    raise InputError(f"{' or '.join(tried)} finds no GPU; --device cpu trains on the processor")


def table(result: dict[str, Any]) -> str:
    """Format a result for the terminal."""
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
