"""Multiply-adds of a network, counted from its layers.

A layer that multiplies by a kernel uses every weight of it once a position: a convolution once for
each pixel of its output, a dense, locally connected or divide-and-encode layer once. Nothing else
is counted (biases, normalisation, activations, pooling, the losses and the optimizer): these take
time and do no products, so they lower the share of the peak, which is what it is to show.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

FLOPS_A_MULTIPLY_ADD = 2
TRAINING_STEPS_A_FORWARD = 3
"""The products of a forward pass, of the gradient by the kernels, and of that by the inputs.

A first layer needs no gradient by its inputs: of DCBH's training step this counts 0.2 % too many,
of DDH's, whose first convolution weighs more, 9 %.
"""

_ONCE = ("Dense", "LocallyConnected2D", "DivideAndEncode")


def multiply_adds(model: keras.Model) -> dict[str, int]:
    """Count the multiply-adds of one image's forward pass.

    Args:
        model: Built; a `HashModel`, or any Keras model that knows the shapes of its outputs.

    Returns:
        Multiply-adds by layer name, of the layers that have a kernel.

    Raises:
        ValueError: A layer has a kernel and is none of the kinds known here.
    """
    counts: dict[str, int] = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if getattr(layer, "kernel", None) is None:
            continue
        kind = type(layer).__name__
        if kind == "Conv2D":
            last = layer.data_format == "channels_last"
            positions = math.prod(layer.output.shape[1:3] if last else layer.output.shape[2:])
        elif kind in _ONCE:
            positions = 1
        else:
            raise ValueError(f"layer {layer.name!r} is a {kind}, whose products are not counted")
        counts[layer.name] = positions * math.prod(layer.kernel.shape)
    return counts


def training_flops(model: keras.Model) -> int:
    """Return the floating-point operations of one image in a training step, 3 x forward."""
    forward = FLOPS_A_MULTIPLY_ADD * sum(multiply_adds(model).values())
    return TRAINING_STEPS_A_FORWARD * forward
