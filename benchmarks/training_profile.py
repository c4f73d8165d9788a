"""Where a DCBH training step spends its time, by TensorFlow's own profiler.

    python -m benchmarks.training_profile

Run with one operation at a time, so that no operation's time holds that of another beside it; the
threads all work on that one. What each operation belongs to is read off its name, which begins with
that of the layer or the optimizer. Prints JSON; benchmarks/training_options.py stores it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.random_faces import configure, make_faces
from facehash import methods
from facehash.learning.backend import set_seed, start_backend

# The first that fits an operation's name decides. Of a convolution the three products are told
# apart by the operation itself.
KINDS = (
    ("convolution, gradient by kernels", r"Conv2DBackpropFilter$"),
    ("convolution, gradient by inputs", r"Conv2DBackpropInput$"),
    ("convolution, forward", r"conv2d"),
    ("optimizer", r"^adam/"),
    ("batch normalisation", r"batch_normalization"),
    ("ReLU", r"/re_lu|/feature/"),
    ("max pooling", r"max_pooling2d"),
    ("global pooling and dense layers", r"global_average|/dense|concatenate"),
    ("center loss", r"center_loss"),
)
REST = "losses, metrics, input and what else"


def classify(operation: str) -> str:
    """Name the kind of work that an operation belongs to, by ``scope/name:type``."""
    return next((kind for kind, words in KINDS if re.search(words, operation)), REST)


def profile(batch: int, steps: int) -> dict[str, Any]:
    """Profile a few steps of the default in this process, after two to warm up."""
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    start_backend("tensorflow")
    import tensorflow as tf

    from facehash.learning.training import compile_model

    config = configure("dcbh", {"batch": batch})
    faces = make_faces(batch)
    set_seed(config.seed)
    model = methods.build(config, faces.identities, 127.5, 73.9)
    compile_model(model, config.training, batch)

    def train(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            model.train_on_batch(faces.images, faces.labels)
        return time.perf_counter() - started

    train(2)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        seconds = train(steps)
        tf.profiler.experimental.stop()
        [trace] = Path(folder).rglob("*.xplane.pb")
        spent = operation_seconds(trace.read_bytes())
    kinds: Counter[str] = Counter()
    for operation, value in spent.items():
        kinds[classify(operation)] += value
    total = sum(kinds.values())
    return {
        "how": "TensorFlow profiler, float32, one operation at a time",
        "batch": batch,
        "steps": steps,
        "step_seconds": round(seconds / steps, 4),
        "share_of_step_in_operations": round(total / seconds, 3),
        "share_of_operations": {kind: round(v / total, 4) for kind, v in kinds.most_common()},
    }


def operation_seconds(trace: bytes) -> dict[str, float]:
    """Add up the time of each operation in a trace of TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(trace)
    seconds: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                # "scope/name:Type" is an operation; the executor around them is "A::B".
                if re.fullmatch(r"[^:]+:\w+", name) and not name.startswith(" "):
                    seconds[name] += event.duration_ps / 1e12
    return seconds


def main() -> None:
    """Profile, and print JSON on one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_profile")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    print(json.dumps(profile(options.batch, options.steps)))


if __name__ == "__main__":
    main()
