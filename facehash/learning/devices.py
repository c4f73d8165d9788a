"""The devices that training computes on: one, or all of a machine at once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import keras
from keras import ops

from facehash.errors import InputError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def data_parallel(devices: str, batch: int) -> Iterator[int]:
    """Make the models built and fitted inside share the images of each batch among devices.

    Every device holds all weights. Batch normalisation, losses and the update of centers see the
    whole batch, so more devices change the speed, and the codes by no more than rounding.

    Args:
        devices: ``"one"``, or ``"all"`` that the backend finds.
        batch: Images a step, over all devices together.

    Yields:
        The number of devices; a batch must hold a multiple of it.

    Raises:
        InputError: Several devices are asked for where Keras cannot use them, or the batch does
            not divide by their number.
    """
    if devices == "one":
        yield 1
        return
    backend = keras.backend.backend()
    if backend != "jax":
        raise InputError(
            f"training.devices 'all' needs the backend 'jax', got {backend!r}: "
            "Keras spreads batches over devices on no other (set backend: jax)"
        )
    names = keras.distribution.list_devices()
    count = len(names)
    if count == 1:
        log.warning("training.devices is 'all', and there is one device: %s", names[0])
        yield 1
        return
    if batch % count:
        nearest = max(count, round(batch / count) * count)
        raise InputError(
            f"training.batch {batch} does not divide by {count} devices; nearest that does: "
            f"{nearest}"
        )
    with keras.distribution.DataParallel(devices=names).scope():
        yield count


def device_name() -> str:
    """Name what is computed on in this place, for the record of a run, such as ``"cpu:0"``."""
    shared = keras.distribution.distribution()
    if shared is not None:
        return ", ".join(str(device) for device in shared.device_mesh.devices.flatten())
    if keras.backend.backend() == "torch":
        return str(ops.zeros(()).device)  # Keras lists no devices of PyTorch
    return str(keras.distribution.list_devices()[0]).lower()
