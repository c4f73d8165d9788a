"""The devices to train on: one, or all of a machine."""

import contextlib
import logging
from collections.abc import Iterator

import keras
from keras import ops

from facehash.errors import InputError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def data_parallel(devices: str, batch: int) -> Iterator[int]:
    """Split every batch among devices for models built and trained inside the block.

    Every device holds all weights. Batch normalization, losses and center updates see the whole
    batch, so the number of devices changes the speed, and the codes only by rounding.

    Args:
        devices: ``"one"``, or ``"all"`` devices that the backend finds.
        batch: Images per step, on all devices together.

    Yields:
        The number of devices; each batch must hold a multiple of it.

    Raises:
        InputError: The backend cannot train on several devices, or `batch` is not divisible by
            their number.
    """
    if devices == "one":
        yield 1
        return
    backend = keras.backend.backend()
    if backend != "jax":
        raise InputError(
            f"training.devices 'all' needs the backend 'jax', got {backend!r}: Keras splits "
            "batches among devices only on JAX (set backend: jax)"
        )
    names = keras.distribution.list_devices()
    count = len(names)
    if count == 1:
        log.warning("training.devices is 'all', but there is only one device: %s", names[0])
        yield 1
        return
    if batch % count:
        nearest = max(count, round(batch / count) * count)
        raise InputError(
            f"training.batch {batch} is not divisible by {count} devices; the nearest that is: "
            f"{nearest}"
        )
    with keras.distribution.DataParallel(devices=names).scope():
        yield count


def device_name() -> str:
    """Return the name of the device or devices in use here, such as ``"cpu:0"``."""
    shared = keras.distribution.distribution()
    if shared is not None:
        return ", ".join(str(device) for device in shared.device_mesh.devices.flatten())
    if keras.backend.backend() == "torch":
        return str(ops.zeros(()).device)  # Keras does not list PyTorch's devices
    return str(keras.distribution.list_devices()[0]).lower()
