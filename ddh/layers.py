"""The two layers of DDH that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops, regularizers


def _independent_kernels(initializer: initializers.Initializer):
    """Initialise every slice along the first axis as a kernel of its own.

    Keras takes the fan-in from a whole weight's shape. A stack of small kernels would be drawn as
    one large kernel, with too small a spread: (4, 240, 80) as fan-in 960 where each has 240.
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
        else:  # not random, or drawing from a generator that moves on by itself
            draws = [initializer] * count
        return ops.stack([draw(block, dtype=dtype) for draw in draws])

    return initialize


@keras.saving.register_keras_serializable("facehash")
class LocallyConnected2D(layers.Layer):
    """Convolution whose weights are not shared across positions; stride 1, no padding.

    ``out[b, i, j, f] = bias[i, j, f] + sum over u, v, c of
    image[b, i + u, j + v, c] * kernel[i, j, u, v, c, f]``

    Args:
        filters: Output channels, 1 or more.
        kernel_size: Height and width of the window, 1 or more.
        kernel_initializer: Applied to each position's (window * channels, filters) kernel by
            itself, so that the fan-in is that of one position.
        kernel_regularizer: Applied to all kernels together.

    Input: (batch, height, width, channels).
    Output: (batch, height - kernel_size + 1, width - kernel_size + 1, filters).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        kernel_initializer: Any = "he_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernel (positions, window * channels, filters) and a bias a position."""
        _, rows, columns, filters = self.compute_output_shape(input_shape)
        window = self.kernel_size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            shape=(rows * columns, window, filters),
            initializer=_independent_kernels(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(rows, columns, filters), initializer="zeros", name="bias"
        )

    def call(self, images):
        """Apply each position's own kernel."""
        _, rows, columns, _ = self.compute_output_shape(images.shape)
        size = range(self.kernel_size)
        shifted = [images[:, u : u + rows, v : v + columns, :] for u in size for v in size]
        patches = ops.concatenate(shifted, axis=-1)  # (batch, rows, columns, window * channels)
        patches = ops.reshape(patches, (-1, rows * columns, patches.shape[-1]))
        outputs = ops.einsum("bpw,pwf->bpf", patches, self.kernel)
        return ops.reshape(outputs, (-1, rows, columns, self.filters)) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return the shape of the outputs, for a known height and width."""
        batch, rows, columns, _ = input_shape
        shrink = self.kernel_size - 1
        if rows is None or columns is None or min(rows, columns) <= shrink:
            raise ValueError(
                f"LocallyConnected2D needs images of a known size of at least {self.kernel_size} x "
                f"{self.kernel_size}, got {tuple(input_shape)}"
            )
        return batch, rows - shrink, columns - shrink, self.filters

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable("facehash")
class DivideAndEncode(layers.Layer):
    """Encode each block of features into one real number of its own, to become a bit.

    ``out[b, j] = bias[j] + sum over i of features[b, j * block + i] * kernel[j, i]``, block being
    the number of features divided by `bits`. One reshaped product stands for `bits` dense layers
    of one unit.

    Args:
        bits: Outputs, 1 or more; must divide the number of features.
        kernel_initializer: Applied to each bit's (block, 1) kernel by itself.
        kernel_regularizer: Applied to all kernels together.

    Input: (batch, bits * block). Output: (batch, bits).

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
        """Create the kernel (bits, block, 1) and a bias a bit."""
        features = input_shape[-1]
        if features % self.bits:
            raise ValueError(
                f"DivideAndEncode cannot divide {features} features into {self.bits} equal blocks"
            )
        self.kernel = self.add_weight(
            shape=(self.bits, features // self.bits, 1),
            initializer=_independent_kernels(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.bits,), initializer="zeros", name="bias")

    def call(self, features):
        """Encode (batch, bits * block) into (batch, bits)."""
        blocks = ops.reshape(features, (-1, *self.kernel.shape[:2]))
        return ops.sum(blocks * self.kernel[:, :, 0], axis=-1) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, bits)."""
        return (*input_shape[:-1], self.bits)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "bits": self.bits,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }
