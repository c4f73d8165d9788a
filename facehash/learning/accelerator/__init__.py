"""What keeps a GPU busy in training: layers of few kernels, images on the device, grouped steps."""

import functools

import keras


@functools.cache
def on_accelerator() -> bool:
    """Return whether the backend computes on something other than the CPU."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    import torch

    return bool(torch.cuda.is_available())
