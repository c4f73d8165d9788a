"""Choosing the Keras backend, which must happen before Keras is imported for the first time."""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

from facehash.command_line import is_running
from facehash.errors import InputError, did_you_mean

BackendName = Literal["tensorflow", "jax", "torch"]
BACKENDS: tuple[str, ...] = get_args(BackendName)

# Keras, and TensorFlow with it, import these where they are installed, for converters, galleries,
# notebooks and wrappers, none of which our commands use.
_NOT_NEEDED = ("jax", "matplotlib", "sklearn", "IPython", "pandas")


def choose_backend(configured: str | None = None) -> str:
    """Choose a backend without importing it.

    Args:
        configured: The name in the configuration. It takes precedence over the environment
            variable KERAS_BACKEND, which takes precedence over the default, TensorFlow.

    Returns:
        ``"tensorflow"``, ``"jax"`` or ``"torch"``.

    Raises:
        InputError: The backend is unknown or not installed.
    """
    name = configured or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise InputError(f"backend {name!r} is unknown{did_you_mean(name, BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise InputError(f"backend {name!r} is not installed; try: pip install {name}")
    return name


def start_backend(name: str) -> None:
    """Import Keras with a backend; takes seconds the first time in a process.

    Args:
        name: From `choose_backend`.

    Raises:
        InputError: Keras already runs on another backend in this process.
    """
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise InputError(
                f"Keras already runs on {keras.backend.backend()!r} in this process; "
                f"start a new process to use {name!r}"
            )
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    not_needed = [one for one in _NOT_NEEDED if one != name] if is_running() else []
    with native_stderr_held_back(), hidden(not_needed):
        import keras
    # The networks need these settings, whatever a user's keras.json contains.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


@contextlib.contextmanager
def hidden(packages: Sequence[str]) -> Iterator[None]:
    """Let imports in the block behave as if packages were not installed, unless they are loaded.

    Without the optional packages that it imports, Keras starts in about half the time.

    Args:
        packages: Names of top-level packages.

    Example:
        >>> with hidden(["wave"]):
        ...     import wave
        Traceback (most recent call last):
            ...
        ModuleNotFoundError: import of wave halted; None in sys.modules
    """
    absent = [one for one in packages if one not in sys.modules]
    modules: dict[str, Any] = sys.modules  # None is what an import refuses
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for one in absent:
            if modules.get(one, sys) is None:
                del modules[one]


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
def native_stderr_held_back() -> Iterator[None]:
    """Hide what native code writes to stderr, unless the block raises an error.

    TensorFlow, which Keras imports with any backend, prints lines about CPU features and missing
    GPUs before its log level takes effect.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # a signal needs no explanation
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """Compile a function of tensors on JAX, which takes long to start single operations.

    Args:
        function: Returns tensors, or lists and dicts of them. Its assignments to variables are lost
            on JAX.
        variables: All Keras variables that it reads.

    Returns:
        On JAX the compiled function; elsewhere the function itself.
    """
    import keras

    if keras.backend.backend() != "jax":
        return function
    import jax

    @jax.jit
    def stateless(values: Sequence[Any], arguments: Sequence[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: stateless([variable.value for variable in variables], arguments)


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Keep PyTorch from recording what it would need for gradients; no effect elsewhere."""
    import keras

    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def allow_tf32() -> None:
    """Let PyTorch use TF32 for products of float32 arrays on NVIDIA GPUs, unless a user has chosen.

    TensorFlow and JAX do so by themselves; PyTorch does for convolutions only.
    """
    import keras

    if keras.backend.backend() == "torch":
        import torch

        if getattr(torch.backends, "fp32_precision", None) == "none":
            torch.backends.fp32_precision = "tf32"


def enable_determinism() -> None:
    """Make the backend compute sums in a fixed order.

    The same seed on the same machine then gives the same weights, and a resumed run the same
    history as an uninterrupted one. On TensorFlow this excludes XLA.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        # PyTorch needs this for a fixed order; cuBLAS reads it at its first use.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        import torch

        # On a CPU the order is fixed anyway, and this would make convolutions ten times slower.
        # An operation without a fixed order causes a warning, not an error.
        torch.use_deterministic_algorithms(torch.cuda.is_available(), warn_only=True)
        # It would also fill every new tensor, a kernel each.
        torch.utils.deterministic.fill_uninitialized_memory = False
