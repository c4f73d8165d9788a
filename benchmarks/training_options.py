"""Train DCBH for a few steps in each of many ways, to see why the defaults are what they are.

    python -m benchmarks.training_options

Every option is one change from the default: DCBH as our loop compiles it, TensorFlow, float32,
batch 256. Each runs in a process of its own, which also measures the speed of a large matrix
product with the same framework and threads, before the steps and after; beside images a second
stand the arithmetic done (benchmarks/flops.py) and its share of that peak. The share is taken of
the float32 product, and for bfloat16 of the bfloat16 product too; and once more, for all alike, of
the fastest float32 product that any of the frameworks had in the run, since one framework's product
may be slower than its convolutions. The default runs first and last: what lies between the two is
the noise, and a change within it is none.

Then one more process profiles the default, see benchmarks/training_profile.py.

The result goes to benchmarks/results/training_options.json and, as a table, to the terminal.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.random_faces import BITS, PEOPLE, configure, make_faces
from facehash.files import write_json
from facehash.learning.backend import BACKENDS, start_backend

RESULT = Path(__file__).parent / "results" / "training_options.json"
LEAST_STEPS = 4
UNTIMED_STEPS = 2
LONGEST = 150
"""Seconds after which an option is given up: it is no rival then."""


@dataclass(frozen=True)
class Option:
    """One way to train.

    Attributes:
        why: What is asked by trying it.
        backend: Keras's.
        training: Changes of the configuration's section of that name.
        environment: Variables of the process.
        variant: Of benchmarks/dcbh_variants.py; None for the network as it is.
        deterministic: Whether as the loop trains; else TensorFlow may add up in any order.
    """

    why: str
    backend: str = "tensorflow"
    training: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    variant: str | None = None
    deterministic: bool = True


_BFLOAT16 = {"precision": "mixed_bfloat16"}
_ONE_OP = {"TF_NUM_INTEROP_THREADS": "1"}
OPTIONS = {
    "default": Option("TensorFlow, float32, batch 256"),
    "batch 64": Option("a smaller batch", training={"batch": 64}),
    "batch 128": Option("a smaller batch", training={"batch": 128}),
    "mixed bfloat16": Option("half the bits, by Keras's policy", training=_BFLOAT16),
    "bfloat16 products": Option(
        "float32 arrays, but oneDNN may multiply in bfloat16, for the peak too",
        environment={"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"},
    ),
    "xla": Option("the step compiled as one; not reproducible", training={"jit": True}),
    "racing reductions": Option("what determinism costs", deterministic=False),
    "without oneDNN": Option("Eigen's kernels", environment={"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "channels first": Option("the other order of channels", variant="channels_first"),
    "fused batch norm": Option("one op each way, where Keras has a dozen", variant="fused_norm"),
    "one op at a time": Option("all threads to each op, none beside it", environment=_ONE_OP),
    "one thread": Option(
        "how far the cores help; the peak is one thread's too",
        environment=_ONE_OP | {"TF_NUM_INTRAOP_THREADS": "1"},
    ),
    "jax": Option("the same, on JAX", backend="jax"),
    "torch": Option("the same, on PyTorch", backend="torch"),
    "torch, mixed bfloat16": Option("half the bits", backend="torch", training=_BFLOAT16),
    "default again": Option("how much two runs of the same differ"),
}


def measure(name: str, seconds: float, batch: int, side: int) -> dict[str, Any]:
    """Train one option in this process, whose environment is already the option's."""
    option = OPTIONS[name]
    start_backend(option.backend)
    from benchmarks.clock import StepClock
    from benchmarks.dcbh_variants import build
    from benchmarks.flops import training_flops
    from benchmarks.matrix_peak import matrix_peak
    from facehash.learning.backend import set_seed
    from facehash.learning.batches import ShuffledBatches
    from facehash.learning.training import compile_model

    config = configure("dcbh", {"batch": batch, "patience": None} | option.training)
    training = config.training
    faces = make_faces(4 * training.batch)
    set_seed(config.seed)
    model = build(config, faces.identities, option.variant)
    if option.deterministic:
        compile_model(model, training, len(faces.train))
    else:
        import keras

        model.compile(optimizer=keras.optimizers.Adam(training.learning_rate), jit_compile=False)
    dtypes = ["float32", *(["bfloat16"] if training.precision == "mixed_bfloat16" else [])]
    before = {dtype: matrix_peak(side, dtype=dtype) for dtype in dtypes}
    clock = StepClock(UNTIMED_STEPS, LEAST_STEPS, seconds)
    batches = ShuffledBatches(faces.images, faces.labels, training.batch, config.seed)
    model.fit(batches, epochs=10_000, shuffle=False, verbose=0, callbacks=[clock])
    peaks = {d: (peak + matrix_peak(side, dtype=d)) / 2 for d, peak in before.items()}
    step = statistics.median(clock.seconds)
    speed = training_flops(model) * training.batch / step / 1e9
    return {
        "images_a_second": round(training.batch / step, 1),
        "step_seconds": round(step, 4),
        "step_seconds_quartiles": [
            round(q, 4) for q in statistics.quantiles(clock.seconds, n=4, method="inclusive")[::2]
        ],
        "steps_timed": len(clock.seconds),
        "warming_seconds": round(clock.warming, 1),
        "gflops": round(speed, 1),
        "peak_gflops": {dtype: round(peak, 1) for dtype, peak in peaks.items()},
        "share_of_peak": {dtype: round(speed / peak, 3) for dtype, peak in peaks.items()},
    }


def measure_apart(module: str, name: str | None, options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a new process, or say why that could not be."""
    option = OPTIONS[name] if name else OPTIONS["default"]
    if importlib.util.find_spec(option.backend) is None:
        return {"not_measured": f"{option.backend} is not installed"}
    command = [sys.executable, "-m", module, "--batch", str(options.batch)]
    if name:
        command += ["--way", name, "--seconds", str(options.seconds), "--side", str(options.side)]
    try:
        done = subprocess.run(
            command,
            env=os.environ | option.environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return {"not_measured": f"{UNTIMED_STEPS + LEAST_STEPS} steps took over {LONGEST} s"}
    if done.returncode:
        # One option that a backend has no kernel for must not cost the other rows.
        lines = [line for line in done.stderr.splitlines() if "Error: " in line]
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        print(done.stderr[-2000:], file=sys.stderr)
        return {"not_measured": reason[:200]}
    return json.loads(done.stdout.splitlines()[-1])


def add_share_of_best(rows: dict[str, Any]) -> float:
    """Relate every row to the fastest product in true float32 of the run, and return that."""
    measured = {name: row for name, row in rows.items() if "gflops" in row}
    true = [r for r in measured.values() if "ONEDNN_DEFAULT_FPMATH_MODE" not in r["environment"]]
    best = max((row["peak_gflops"]["float32"] for row in true), default=math.nan)
    for row in measured.values():
        row["share_of_best_float32_peak"] = round(row["gflops"] / best, 3)
    return best


def table(rows: dict[str, Any]) -> str:
    """Lay out the options for the terminal."""
    head = f"{'option':<24}{'images/s':>10}{'GFLOP/s':>10}{'of best peak':>14}"
    lines = [f"{head}{'float32 peak':>14}{'share':>8}{'bfloat16 peak':>16}{'share':>8}"]
    for name, row in rows.items():
        if "not_measured" in row:
            lines.append(f"{name:<24}{'-':>10}  {row['not_measured']}")
            continue
        line = f"{name:<24}{row['images_a_second']:>10.1f}{row['gflops']:>10.1f}"
        line += f"{row['share_of_best_float32_peak']:>14.1%}"
        for width, (dtype, peak) in zip((14, 16), row["peak_gflops"].items(), strict=False):
            line += f"{peak:>{width}.1f}{row['share_of_peak'][dtype]:>8.1%}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure every option, or one of them for the process that collects."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_options",
        description="Train DCBH a few steps in each of many ways.",
        epilog='example: python -m benchmarks.training_options --only default "mixed bfloat16"',
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="timed, at least, an option")
    parser.add_argument("--batch", type=int, default=256, help="where the option says nothing")
    parser.add_argument("--side", type=int, default=2048, help="of the matrices of the peak")
    parser.add_argument("--only", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--output", type=Path, default=RESULT, help="default: beside this file")
    parser.add_argument("--way", choices=OPTIONS, help="measure only this, print JSON")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.seconds, options.batch, options.side)))
        return
    rows = {}
    for name in options.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        row = measure_apart("benchmarks.training_options", name, options)
        rows[name] = asdict(OPTIONS[name]) | row
    best = add_share_of_best(rows)
    profile = measure_apart("benchmarks.training_profile", None, options)
    result = {
        "what": "DCBH, a few steps of training in each way",
        "size": {"batch": options.batch, "identities": PEOPLE, "bits": BITS, "side": 32},
        "peak": f"median product of two {options.side} x {options.side} matrices",
        "best_float32_peak_gflops": best,
        "machine": describe_machine("keras", "numpy", *filter(importlib.util.find_spec, BACKENDS)),
        "options": rows,
        "profile": profile,
    }
    write_json(options.output, result)
    print(table(rows))
    print(json.dumps(profile, indent=1))


if __name__ == "__main__":
    main()
