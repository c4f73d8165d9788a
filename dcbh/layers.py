"""The layer that hashes blocks of features to bits."""

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("facehash")
class BlockHash(layers.Layer):
    """Turns each block of features into one relaxed bit: does one feature dominate the block?

    ``out[b, j] = tanh(max over i of softmax(features[b, j * block : (j + 1) * block])[i] - 0.5)``

    The layer has no weights. The largest share in a block is between 1 / block (all are equal) and
    1, so the output is between ``tanh(1 / block - 0.5)`` and ``tanh(0.5)``: for blocks of 6 from
    -0.322 to 0.462. Its sign is the bit: 1 if one feature outweighs all others together.

    Args:
        bits: Number of outputs, 1 or more; must divide the features into blocks of at least 3 (the
            larger of two shares is never below 1/2, so the bit would always be 1).

    Input shape: (batch, bits * block). Output shape: (batch, bits).

    Example:
        >>> BlockHash(bits=48)(keras.random.normal((10, 288))).shape
        TensorShape([10, 48])

    Reference:
        Jang, Jeong, Lee, Cho. Deep Clustering and Block Hashing Network for Face Image Retrieval.
        ACCV 2018, the block hashing layer.
    """

    def __init__(self, bits: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = bits

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the features divide into blocks."""
        features = input_shape[-1]
        if features % self.bits or features // self.bits < 3:
            raise ValueError(
                f"BlockHash cannot divide {features} features into {self.bits} equal blocks of "
                "at least 3"
            )

    def call(self, features):
        """Hash (batch, bits * block) into (batch, bits)."""
        # (batch, bits, block)
        blocks = ops.reshape(features, (-1, self.bits, features.shape[-1] // self.bits))
        return ops.tanh(ops.max(ops.softmax(blocks, axis=-1), axis=-1) - 0.5)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, bits)."""
        return (*input_shape[:-1], self.bits)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "bits": self.bits}
