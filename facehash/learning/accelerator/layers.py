"""Layers of Keras that need fewer and faster kernels on a GPU, with the same results and weights.

They differ from those of Keras only in training on a GPU with JAX or PyTorch, and only in rounding:

- `Conv2D`: on JAX, few channels are gathered into rows of a matrix first, since cuDNN pads them; on
  PyTorch, images stay in the order that the tensor cores use.
- `BatchNormalization`: both sums in one pass, and ReLU within it; the arrays between layers are as
  small as the precision of the network.
- `MaxPooling2D`: the gradient without a scatter.
"""

from types import ModuleType
from typing import Any

import keras
from keras import layers, ops

from facehash.learning import accelerator

FEW_CHANNELS = 64
"""Convolutions of fewer channels are a product of two matrices on JAX."""


def _functions() -> ModuleType | None:
    """Return the module with the functions of this backend, or None where Keras's are used."""
    backend = keras.backend.backend()
    if backend == "tensorflow" or not accelerator.on_accelerator():
        return None
    if backend == "jax":
        from facehash.learning.accelerator import on_jax as functions
    else:
        from facehash.learning.accelerator import on_torch as functions
    return functions


@keras.saving.register_keras_serializable("facehash")
class Conv2D(layers.Conv2D):
    """`keras.layers.Conv2D`, faster on a GPU; same arguments and weights."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve (batch, height, width, channels)."""
        functions = _functions()
        plain = self.strides == self.dilation_rate == (1, 1) and self.groups == 1
        plain = plain and self.data_format == "channels_last"
        plain = plain and (self.padding == "valid" or all(n % 2 for n in self.kernel_size))
        if functions is None or not plain:
            return super().convolution_op(inputs, kernel)
        kernel = ops.convert_to_tensor(kernel)
        return functions.convolve(inputs, kernel, self.padding == "same")


@keras.saving.register_keras_serializable("facehash")
class BatchNormalization(layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, faster on a GPU, and with ReLU if asked for.

    Args:
        relu: Whether to set negative outputs to 0. Defaults to False.
        **kwargs: Arguments of the layer of Keras.
    """

    def __init__(self, *, relu: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.relu = relu

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize the last axis, by the statistics of the batch in training."""
        functions = _functions()
        plain = self.axis in (-1, len(inputs.shape) - 1) and self.scale and self.center
        if not (functions and training and self.trainable and plain) or mask is not None:
            outputs = super().call(inputs, training=training, mask=mask)
            return ops.relu(outputs) if self.relu else outputs
        scale, offset = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        outputs, mean, variance = functions.normalize(
            inputs, scale, offset, self.epsilon, self.relu
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            share = 1.0 - self.momentum
            moving.assign(moving * self.momentum + ops.stop_gradient(value) * share)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "relu": self.relu}


@keras.saving.register_keras_serializable("facehash")
class MaxPooling2D(layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D`, faster on a GPU for windows of 2 x 2; same arguments."""

    def call(self, inputs: Any) -> Any:
        """Pool (batch, height, width, channels)."""
        functions = _functions()
        plain = tuple(self.pool_size) == tuple(self.strides) == (2, 2)
        plain = plain and self.data_format == "channels_last" and self.padding == "valid"
        if functions is None or not plain or any(n is None or n % 2 for n in inputs.shape[1:3]):
            return super().call(inputs)
        return functions.max_pool(inputs)
