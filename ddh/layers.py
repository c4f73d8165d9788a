"""The locally connected layer, which Keras 3 lacks."""

from typing import Any

import keras
from keras import initializers, layers, ops, regularizers

from facehash.learning.divide_and_encode import independent_kernels


@keras.saving.register_keras_serializable("facehash")
class LocallyConnected2D(layers.Layer):
    """Convolution without weight sharing across positions; stride 1, no padding.

    ``out[b, i, j, f] = bias[i, j, f] + sum over u, v, c of
    image[b, i + u, j + v, c] * kernel[i, j, u, v, c, f]``

    Args:
        filters: Number of output channels, 1 or more.
        kernel_size: Height and width of the window, 1 or more.
        kernel_initializer: Applied to the (window * channels, filters) kernel of each position
            separately, so that the fan-in is that of one position. Defaults to ``"he_uniform"``.
        kernel_regularizer: Applied to all kernels together. Defaults to None.

    Input shape: (batch, height, width, channels).
    Output shape: (batch, height - kernel_size + 1, width - kernel_size + 1, filters).

    Example:
        >>> LocallyConnected2D(80, 2)(keras.random.normal((10, 3, 3, 60))).shape
        TensorShape([10, 2, 2, 80])

    Reference:
        Lin, Li, Tang. Discriminative Deep Hashing for Scalable Face Image Retrieval. IJCAI 2017.
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
        """Create the kernel (positions, window * channels, filters) and a bias per position."""
        _, rows, columns, filters = self.compute_output_shape(input_shape)
        window = self.kernel_size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            shape=(rows * columns, window, filters),
            initializer=independent_kernels(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(rows, columns, filters), initializer="zeros", name="bias"
        )

    def call(self, images):
        """Apply the kernel of each position."""
        _, rows, columns, _ = self.compute_output_shape(images.shape)
        size = range(self.kernel_size)
        shifted = [images[:, u : u + rows, v : v + columns, :] for u in size for v in size]
        patches = ops.concatenate(shifted, axis=-1)  # (batch, rows, columns, window * channels)
        patches = ops.reshape(patches, (-1, rows * columns, patches.shape[-1]))
        outputs = ops.einsum("bpw,pwf->bpf", patches, self.kernel)
        return ops.reshape(outputs, (-1, rows, columns, self.filters)) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return the shape of the outputs; height and width must be known."""
        batch, rows, columns, _ = input_shape
        shrink = self.kernel_size - 1
        if rows is None or columns is None or min(rows, columns) <= shrink:
            raise ValueError(
                f"LocallyConnected2D needs images of a known size of at least {self.kernel_size} x "
                f"{self.kernel_size}, got {tuple(input_shape)}"
            )
        return batch, rows - shrink, columns - shrink, self.filters

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }
