"""Choosing the Keras backend, which must happen before Keras is imported for the first time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Literal, get_args

from facehash.errors import InputError, did_you_mean

BackendName = Literal["tensorflow", "jax", "torch"]
BACKENDS: tuple[str, ...] = get_args(BackendName)


def choose_backend(configured: str | None = None) -> str:
    """Decide on a backend without importing it.

    Args:
        configured: A name from the configuration; it wins over the environment variable
            KERAS_BACKEND, which wins over TensorFlow.

    Returns:
        The chosen name.

    Raises:
        InputError: An unknown backend, or one that is not installed.
    """
    name = configured or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise InputError(f"backend {name!r} is unknown{did_you_mean(name, BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise InputError(f"backend {name!r} is not installed; try: pip install {name}")
    return name


def start_backend(name: str) -> None:
    """Make Keras use a backend in this process; takes seconds the first time.

    Args:
        name: From `choose_backend`.

    Raises:
        InputError: Keras already runs on another backend in this process.
    """
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise InputError(
                f"Keras already runs on {keras.backend.backend()!r} in this process, "
                f"{name!r} needs a new one"
            )
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_stderr_held_back():
        import keras
    # A user's keras.json may say otherwise; the networks are written for these.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


def start_any_backend(preferred: str | None = None) -> None:
    """Import Keras on any backend: a trained model computes the same embeddings on each.

    A backend that already runs in this process wins over the environment variable KERAS_BACKEND,
    which wins over `preferred`, which wins over TensorFlow.

    Args:
        preferred: The backend that the model was trained on; ignored where it is not installed.

    Raises:
        InputError: KERAS_BACKEND names a backend that is unknown or not installed.
    """
    if "keras" in sys.modules:
        import keras

        start_backend(keras.backend.backend())
        return
    installed = preferred is not None and importlib.util.find_spec(preferred) is not None
    start_backend(
        choose_backend(os.environ.get("KERAS_BACKEND") or (preferred if installed else None))
    )


@contextlib.contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Keep what native code writes to stderr off the terminal, unless something fails.

    TensorFlow, which Keras imports whatever its backend, greets with half a dozen lines on CPU
    features and missing GPUs before its log level counts; they would bury our own first lines and
    every one-line error.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def set_seed(seed: int) -> None:
    """Seed every generator that Keras draws from.

    Args:
        seed: 0 to 2**32 - 1.
    """
    import keras

    keras.utils.set_random_seed(seed)


def enable_determinism() -> None:
    """Make the backend add up in a fixed order, where it would not by itself.

    With it the same seed on the same machine gives the same weights, and a resumed run the same
    history as an unbroken one. TensorFlow then has no XLA.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        # cuBLAS reads it when it is first used; without it PyTorch has no fixed order to offer.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        import torch

        # On a CPU these networks race nowhere, and would have their convolutions ten times slower.
        # Where an operation has no fixed order, a warning names it; training is not refused.
        torch.use_deterministic_algorithms(torch.cuda.is_available(), warn_only=True)
