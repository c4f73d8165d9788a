"""DCBH with one thing changed that no configuration can change, for benchmarks alone.

Keras 3 has no ``fused`` argument: its batch normalisation is a composition of a dozen elementwise
operations and reductions, always in float32, on every backend. TensorFlow's own fused operation,
which Keras 2 used, is tried here by a layer that calls it.

Importing this imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from dcbh.model import DCBH
from facehash import methods
from facehash.config import RunConfig
from facehash.learning.hash_model import HashModel


def build(config: RunConfig[Any], identities: Sequence[str], variant: str | None) -> HashModel:
    """Build DCBH, changed or as it is.

    Args:
        config: Of DCBH.
        identities: Names of the people.
        variant: ``"channels_first"``, ``"fused_norm"``, or None.

    Returns:
        A model with weights, not yet compiled.
    """
    if variant is None:
        return methods.build(config, identities, 127.5, 73.9)
    return {"channels_first": ChannelsFirstDCBH, "fused_norm": FusedNormDCBH}[variant](
        bits=config.bits,
        identities=identities,
        pixel_mean=127.5,
        pixel_std=73.9,
        dtype=config.training.precision,
        **config.model.model_dump(),
    )


class ChannelsFirstDCBH(DCBH):
    """DCBH with images and features as (batch, channels, rows, columns)."""

    def build_network(self) -> keras.Model:
        """Turn the images once, and every layer's order with them."""
        turned = keras.models.clone_model(
            super().build_network(),
            input_tensors=keras.Input((3, self.side, self.side)),
            clone_function=_channels_first,
        )
        image = keras.Input((self.side, self.side, 3), name="image")
        return keras.Model(image, turned(layers.Permute((3, 1, 2))(image)), name="network")


class FusedNormDCBH(DCBH):
    """DCBH on TensorFlow with its fused batch normalisation behind the convolutions."""

    def build_network(self) -> keras.Model:
        """Put the fused layer where an image is normalised; one of features stays Keras's."""
        network = super().build_network()
        return keras.models.clone_model(network, clone_function=_fused)


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalisation of images by ``FusedBatchNormV3``, with Keras's own weights."""

    def call(self, inputs, training=None, mask=None):
        """Normalise (batch, rows, columns, channels)."""
        import tensorflow as tf

        if not training:
            return super().call(inputs, training=False)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, fresh in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + fresh * (1.0 - self.momentum))
        return outputs


def _channels_first(layer: layers.Layer) -> layers.Layer:
    settings = layer.get_config()
    if "data_format" in settings:
        settings["data_format"] = "channels_first"
    if isinstance(layer, layers.BatchNormalization):
        settings["axis"] = 1  # of features, (batch, features), the last one still
    return type(layer).from_config(settings)


def _fused(layer: layers.Layer) -> layers.Layer:
    of_images = isinstance(layer, layers.BatchNormalization) and len(layer.input.shape) == 4
    kind = FusedBatchNormalization if of_images else type(layer)
    return kind.from_config(layer.get_config())
