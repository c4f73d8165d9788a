"""Which batch-norm layers a network has, and what they need."""

from __future__ import annotations

import contextlib
from typing import Any

import keras


def trained_norms(model: Any) -> list[Any]:
    """List the batch-norm layers, at any depth, whose statistics training changes."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def uses_batch_norm(model: Any) -> bool:
    """Return whether the model has batch-norm layers that training changes."""
    return bool(trained_norms(model))


def needs_two_images(model: Any) -> bool:
    """Return whether a batch of one image has no variance in some batch-norm layer.

    It has none in a layer that receives one value per image and channel: the output is then a
    constant. A layer after a convolution has one value per position.
    """
    for layer in trained_norms(model):
        with contextlib.suppress(AttributeError, ValueError):  # not in a graph, or called twice
            shape = list(layer.input.shape[1:])
            del shape[layer.axis - 1 if layer.axis > 0 else layer.axis]
            if all(size == 1 for size in shape):
                return True
    return False
