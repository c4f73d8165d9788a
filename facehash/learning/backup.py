"""The state of a training between two epochs, from which it goes on: one file, replaced whole."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.files import atomic_write
from facehash.learning.backend import without_gradients
from facehash.runs.directory import DamagedRunError
from facehash.runs.files import read_npz

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Backup:
    """The state at the end of an epoch, from which training resumes as if never interrupted."""

    # The arrays may be tensors of the backend, still on its device.
    epoch: int  # epochs done
    state: Arrays  # values of `training_variables`
    best: Arrays  # weights of the best epoch so far; empty in the state of a finished run
    # Arguments of the model's constructor that do not follow from the configuration and the data.
    arguments: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the backup at `path`."""
        from keras import ops

        arrays = {
            f"{name}_{i:04d}": ops.convert_to_numpy(array)
            for name, some in (("state", self.state), ("best", self.best))
            for i, array in enumerate(some)
        }
        arguments = np.array(json.dumps(self.arguments))
        with atomic_write(path) as temporary:
            np.savez(temporary, epoch=np.int64(self.epoch), arguments=arguments, **arrays)

    @classmethod
    def read(cls, path: Path) -> Backup | None:
        """Read a backup; None if there is none.

        Raises:
            DamagedRunError: The file is damaged.
        """
        if not path.is_file():
            return None
        arrays = read_npz(path, ["epoch"], "--overwrite starts again")
        names = sorted(arrays)
        try:  # version 0.1.0 stored none
            arguments = json.loads(str(arrays.get("arguments", "{}")))
        except ValueError as error:
            raise DamagedRunError(f"{path}: damaged ({error}); --overwrite starts again") from error
        return cls(
            epoch=int(arrays["epoch"]),
            state=[arrays[name] for name in names if name.startswith("state_")],
            best=[arrays[name] for name in names if name.startswith("best_")],
            arguments=arguments,
        )


def training_variables(model: Any) -> list[Any]:
    """List all variables that training changes, in a fixed order.

    Weights, moving statistics, states of random generators, and those of the optimizer.
    """
    return [*model.variables, *model.optimizer.variables]


def device_copies(variables: list[Any]) -> Arrays:
    """Copy the values of Keras variables on their device, without waiting for the copies.

    The next training step changes the variables in place on PyTorch, and takes over their memory on
    JAX. On TensorFlow a value that was read never changes: a later update copies the memory first.
    """
    import keras

    values = [variable.value for variable in variables]
    backend = keras.backend.backend()
    if backend == "jax":
        return _copy_on_jax()(values)
    if backend == "tensorflow":
        from tensorflow import raw_ops

        # Five times as fast as `keras.ops.copy`, which passes through layers of Python.
        return [raw_ops.ReadVariableOp(resource=v.handle, dtype=v.dtype) for v in values]
    with without_gradients():
        return [keras.ops.copy(value) for value in values]


@functools.cache
def _copy_on_jax() -> Callable[[list[Any]], Arrays]:
    """Compile the copy of all arrays in one call; inputs that are returned would not be copied."""
    import jax

    return jax.jit(lambda arrays: [jax.numpy.copy(array) for array in arrays])


def restore(model: Any, backup: Backup, path: Path) -> None:
    """Load a backup into a model.

    Args:
        model: Built and compiled as when the backup was written.
        backup: From `Backup.read`.
        path: The file it was read from, for error messages.

    Raises:
        DamagedRunError: The backup is of another model.
    """
    variables = training_variables(model)
    if [tuple(v.shape) for v in variables] != [value.shape for value in backup.state]:
        raise DamagedRunError(f"{path}: the backup is of another model; --overwrite starts again")
    for variable, value in zip(variables, backup.state, strict=True):
        variable.assign(value)
