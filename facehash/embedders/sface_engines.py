"""What computes SFace: OpenVINO where the extra ``fast`` is installed, else OpenCV.

Both take the same file of weights and give the same vectors but for rounding; OpenVINO takes less
than half the time on one core. ``FACEHASH_ENGINE=opencv`` or ``=openvino`` in the environment
insists on one of them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError

Feature = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (side, side, 3) RGB -> float32 (dimension,)."""


def load_feature(weights: NDArray[np.uint8]) -> Feature:
    """Load the network.

    Args:
        weights: Bytes of the ONNX file.

    Returns:
        What computes the vector of one face, on as many threads as OpenCV is set to.

    Raises:
        InputError: ``FACEHASH_ENGINE`` names another engine, or one that is not installed.
    """
    openvino = _openvino()
    return _by_opencv(weights) if openvino is None else _by_openvino(weights, openvino)


def _by_opencv(weights: NDArray[np.uint8]) -> Feature:
    network = cv2.FaceRecognizerSF.create("onnx", weights, np.empty(0, np.uint8))

    def feature(face: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(network.feature(cv2.cvtColor(face, cv2.COLOR_RGB2BGR))[0], np.float32)

    return feature


def _by_openvino(weights: NDArray[np.uint8], openvino: Any) -> Feature:
    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": max(1, cv2.getNumThreads()),
        # Where the processor has it, the default is bfloat16.
        "INFERENCE_PRECISION_HINT": "f32",
        # Each process would bind its thread to a core, and all of them to the same.
        "ENABLE_CPU_PINNING": False,
    }
    model = core.compile_model(core.read_model(weights.tobytes()), "CPU", options)
    request = model.create_infer_request()

    def feature(face: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = np.ascontiguousarray(face.transpose(2, 0, 1)[None], np.float32)
        return np.array(request.infer({0: pixels})[0][0], np.float32)

    return feature


def _openvino() -> Any:
    """Import OpenVINO without the package that would tell its makers; None where it is missing."""
    chosen = os.environ.get("FACEHASH_ENGINE", "")
    if chosen not in ("", "opencv", "openvino"):
        raise InputError(f"FACEHASH_ENGINE={chosen}: opencv or openvino, or leave it unset")
    if chosen == "opencv":
        return None
    if "openvino" not in sys.modules:
        # None in the table of modules makes an import fail, and OpenVINO then does without.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        if chosen:
            raise InputError(
                f"FACEHASH_ENGINE={chosen}: not installed; pip install 'facehash[fast]'"
            ) from error
        return None
