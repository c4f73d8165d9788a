"""Inference engines for SFace: OpenVINO if the extra ``fast`` is installed, otherwise OpenCV.

Both use the same weights and return the same vectors up to rounding. On one core OpenVINO takes
less than half the time. The environment variable ``FACEHASH_ENGINE`` (``opencv`` or ``openvino``)
selects one of them.
"""

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
        weights: Content of the ONNX file.

    Returns:
        A function that computes the vector of one face, with as many threads as OpenCV is set to.

    Raises:
        InputError: ``FACEHASH_ENGINE`` names an unknown engine, or one that is not installed.
    """
    openvino = _import_openvino()
    return _load_opencv(weights) if openvino is None else _load_openvino(weights, openvino)


def engine_versions(embedder: str) -> str:
    """Return the libraries that find faces and run an embedder, as far as they are known here.

    Args:
        embedder: Its identity.

    Example:
        >>> engine_versions("sface:sha256=0ba9")  # doctest: +SKIP
        'OpenCV 4.12.0, OpenVINO 2025.3.0'
    """
    versions = f"OpenCV {cv2.__version__}"
    openvino = _import_openvino() if embedder.startswith("sface:") else None
    if openvino is not None:
        versions += f", OpenVINO {str(openvino.__version__).partition('-')[0]}"
    return versions


def _load_opencv(weights: NDArray[np.uint8]) -> Feature:
    network = cv2.FaceRecognizerSF.create("onnx", weights, np.empty(0, np.uint8))

    def feature(face: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(network.feature(cv2.cvtColor(face, cv2.COLOR_RGB2BGR))[0], np.float32)

    return feature


def _load_openvino(weights: NDArray[np.uint8], openvino: Any) -> Feature:
    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": max(1, cv2.getNumThreads()),
        # The default is bfloat16 on processors that support it.
        "INFERENCE_PRECISION_HINT": "f32",
        # Otherwise every process pins its thread, and all of them to the same core.
        "ENABLE_CPU_PINNING": False,
    }
    model = core.compile_model(core.read_model(weights.tobytes()), "CPU", options)
    request = model.create_infer_request()

    def feature(face: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = np.ascontiguousarray(face.transpose(2, 0, 1)[None], np.float32)
        return np.array(request.infer({0: pixels})[0][0], np.float32)

    return feature


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry; return None if it is not installed."""
    chosen = os.environ.get("FACEHASH_ENGINE", "")
    if chosen not in ("", "opencv", "openvino"):
        raise InputError(f"FACEHASH_ENGINE={chosen}: must be opencv, openvino or unset")
    if chosen == "opencv":
        return None
    if "openvino" not in sys.modules:
        # A module that is None cannot be imported, and OpenVINO then works without it.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        if chosen:
            raise InputError(
                f"FACEHASH_ENGINE={chosen}: not installed; pip install 'facehash[fast]'"
            ) from error
        return None
