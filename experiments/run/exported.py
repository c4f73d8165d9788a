"""The formats of ``experiments.export``: writing a model, and running what was written."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.hashing import LinearHash

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel

TOLERANCE = 1e-4
"""How far an output may be from the model's, relative to its size where that is above 1."""

DECIDED = 1e-3
"""Bits whose relaxed value is farther from 0 must be equal; closer, rounding can flip them."""

Outputs = dict[str, NDArray[np.float32]]
"""The outputs of a model by name, each (n, width)."""

Runner = Callable[[NDArray[np.float32]], Outputs]
"""Runs a model on images (n, side, side, 3), pixels 0 to 255, or on vectors (n, d)."""


class ExportError(InputError):
    """A model that cannot be exported, or whose export computes something else."""


@dataclass(frozen=True)
class Format:
    """A file format for trained models."""

    suffix: str  # of a file; a SavedModel is a folder
    packages: tuple[str, ...]  # modules that must be installed, beside TensorFlow
    write: Callable[[HashModel, Path], None]
    load: Callable[[Path], Runner]
    # What the model computes of images or vectors, to be compared; None for its outputs.
    expected: Callable[[HashModel, NDArray[Any]], Outputs] | None = None
    fitted: bool = False  # whether `write` also takes the training vectors, as ``vectors``

    def check_packages(self, name: str) -> None:
        """Refuse a format whose packages are missing.

        Raises:
            ExportError: The message has the command that installs them.
        """
        missing = [one for one in self.packages if importlib.util.find_spec(one) is None]
        if missing:
            raise ExportError(
                f"--to {name} needs {' and '.join(missing)}: pip install -e '.[export]'"
            )


def _write_saved_model(model: HashModel, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _load_saved_model(path: Path) -> Runner:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    [name] = loaded.signatures["serving_default"].structured_input_signature[1]

    def run(images: NDArray[np.float32]) -> Outputs:
        # The signature is what TensorFlow Serving calls; it does not keep the weights alive.
        outputs = loaded.signatures["serving_default"](**{name: tensorflow.constant(images)})
        return {key: tensor.numpy() for key, tensor in outputs.items()}

    return run


def _write_onnx(model: HashModel, path: Path) -> None:
    model.export(str(path), format="onnx", verbose=False)


def _load_onnx(path: Path) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    [taken] = session.get_inputs()
    return lambda images: dict(zip(names, session.run(names, {taken.name: images}), strict=True))


def _write_tflite(model: HashModel, path: Path) -> None:
    import tensorflow

    with tempfile.TemporaryDirectory(prefix=".savedmodel.", dir=path.parent) as folder:
        _write_saved_model(model, Path(folder))
        # Built-in operations only, so that the plain interpreter runs the file.
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())


def _load_tflite(path: Path) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    [name] = runner.get_input_details()
    return lambda images: runner(**{name: images})


def _write_linear(model: HashModel, path: Path, vectors: NDArray[Any] | None = None) -> None:
    """Write a linear head, with its scale over vectors, or else with the stored one."""
    _check_linear(model)
    hashed = model.linear_hash(vectors)
    if hashed.scale is None:
        raise ExportError("the scale of its bits needs the training vectors; pass --data")
    with path.open("wb") as file:
        np.savez(file, **hashed.arrays())


def _load_linear(path: Path) -> Runner:
    with np.load(path, allow_pickle=False) as arrays:
        hashed = LinearHash.from_arrays(arrays)
    return lambda vectors: {"relaxed": _directions(hashed.project(vectors))}


def _linear_outputs(model: HashModel, vectors: NDArray[Any]) -> Outputs:
    from facehash.learning.encoding import projections

    _check_linear(model)
    return {"relaxed": _directions(projections(model, vectors))}


def _check_linear(model: HashModel) -> None:
    if not getattr(model, "linear", False):
        raise ExportError(
            f"{type(model).__name__} is not a linear head of vectors, which model.backbone=vectors "
            "and model.hidden=0 train"
        )


def _directions(projected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1: the model has scaled its vectors, a `LinearHash` does not."""
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(projected / np.where(lengths > 0, lengths, 1), np.float32)


FORMATS = {
    "savedmodel": Format("", (), _write_saved_model, _load_saved_model),
    "onnx": Format(".onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _load_onnx),
    "tflite": Format(".tflite", ("ai_edge_litert",), _write_tflite, _load_tflite),
    "linear": Format(".npz", (), _write_linear, _load_linear, _linear_outputs, fitted=True),
}
"""The formats by the value of ``--to``."""


@dataclass(frozen=True)
class Comparison:
    """How an exported model compares with the original; everything was within the limits."""

    images: int
    difference: float  # the largest, see `TOLERANCE`
    bits: int  # compared and equal
    undecided: int  # not compared, see `DECIDED`


def compare(expected: Outputs, found: Outputs) -> Comparison:
    """Compare the outputs of a model with those of its export on the same images.

    The difference of two outputs a (of the model) and b is ``|a - b| / max(1, |a|)``.

    Args:
        expected: The model's outputs, with ``"relaxed"`` in (-1, 1) among them.
        found: Those of the export.

    Raises:
        ExportError: An output is missing, differs by more than `TOLERANCE` or is not a number, or
            a bit differs whose relaxed value is farther than `DECIDED` from 0.

    Example:
        >>> model = {"relaxed": np.float32([[0.5, -0.5, 0.0005]])}
        >>> compare(model, {"relaxed": np.float32([[0.5, -0.5, -0.0005 + 0.00095]])})
        Comparison(images=1, difference=5.0000002374872565e-05, bits=2, undecided=1)
    """
    difference = 0.0
    for name, output in expected.items():
        if name not in found:
            raise ExportError(f"the output {name!r} is missing; found: {', '.join(found)}")
        other = np.asarray(found[name])
        if other.shape != output.shape:
            raise ExportError(f"{name!r} has the shape {other.shape}, the model's {output.shape}")
        with np.errstate(invalid="ignore"):
            apart = np.abs(other.astype(np.float64) - output) / np.maximum(1, np.abs(output))
        # A NaN is larger than everything here, and no comparison with it holds.
        largest = float(apart.max())
        if not largest <= TOLERANCE:
            raise ExportError(
                f"{name!r} differs from the model's by {largest:.1e}, allowed are {TOLERANCE:.0e}"
            )
        difference = max(difference, largest)
    relaxed = expected["relaxed"]
    decided = np.abs(relaxed) > DECIDED
    flipped = np.count_nonzero(((relaxed >= 0) != (found["relaxed"] >= 0)) & decided)
    if flipped:
        raise ExportError(f"{flipped} of {np.count_nonzero(decided)} bits differ from the model's")
    bits = int(np.count_nonzero(decided))
    return Comparison(len(relaxed), difference, bits, relaxed.size - bits)
