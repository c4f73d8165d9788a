"""Divide-and-encode, the hash layer of DDH, and of DCBH without block hashing."""

from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops, regularizers


@keras.saving.register_keras_serializable("facehash")
class DivideAndEncode(layers.Layer):
    """Encodes each block of features as one number, whose sign becomes a bit.

    ``out[b, j] = bias[j] + sum over i of features[b, j * block + i] * kernel[j, i]``, where
    ``block`` is the number of features divided by `bits`.

    Args:
        bits: Number of outputs, 1 or more; must divide the number of features.
        kernel_initializer: Applied to the (block, 1) kernel of each bit separately. Defaults to
            ``"glorot_uniform"``.
        kernel_regularizer: Applied to all kernels together. Defaults to None.

    Input shape: (batch, bits * block). Output shape: (batch, bits).

    Example:
        >>> DivideAndEncode(bits=48)(keras.random.normal((10, 192))).shape
        TensorShape([10, 48])

    Reference:
        Lai, Pan, Liu, Yan. Simultaneous Feature Learning and Hash Coding with Deep Neural
        Networks. CVPR 2015, section 3.2; used by Lin, Li, Tang, IJCAI 2017.
    """

    def __init__(
        self,
        bits: int,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bits = bits
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernel (bits, block, 1) and the bias (bits,)."""
        features = input_shape[-1]
        if features % self.bits:
            raise ValueError(
                f"DivideAndEncode cannot divide {features} features into {self.bits} equal blocks"
            )
        self.kernel = self.add_weight(
            shape=(self.bits, features // self.bits, 1),
            initializer=independent_kernels(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.bits,), initializer="zeros", name="bias")

    def call(self, features):
        """Encode (batch, bits * block) into (batch, bits)."""
        blocks = ops.reshape(features, (-1, *self.kernel.shape[:2]))  # (batch, bits, block)
        return ops.sum(blocks * self.kernel[:, :, 0], axis=-1) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, bits)."""
        return (*input_shape[:-1], self.bits)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "bits": self.bits,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }


def independent_kernels(initializer: initializers.Initializer):
    """Return an initializer that draws every slice along the first axis separately.

    Keras computes the fan-in from the shape of the whole weight: for four kernels of fan-in 240,
    stored as (4, 240, 80), it would be 960, and the weights half as large.
    """
    seed = getattr(initializer, "seed", None)

    def initialize(shape, dtype=None):
        count, *block = shape
        if isinstance(seed, int):
            config, seeds = initializer.get_config(), np.random.SeedSequence(seed)
            draws = [
                type(initializer).from_config({**config, "seed": int(one)})
                for one in seeds.generate_state(count)
            ]
        else:  # not random, or its generator moves on by itself
            draws = [initializer] * count
        return ops.stack([draw(block, dtype=dtype) for draw in draws])

    return initialize
