"""Multiply-adds of a network, counted from its layers, and the peak that they are compared with.

A layer uses every weight of its kernel once per position: a convolution once per pixel of its
output, a dense, locally connected or divide-and-encode layer once. Biases, normalization,
activations, pooling, losses and the optimizer are not counted. Their time lowers the share of the
peak, as it should.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

FLOPS_PER_MULTIPLY_ADD = 2
FORWARDS_PER_TRAINING_STEP = 3
"""Products of the forward pass, of the gradient of the kernels, and of the gradient of the inputs.

The first layer needs no gradient of its inputs, so this counts 0.2 % too many for DCBH, and 9 % for
DDH, whose first convolution is a larger part.
"""

_ONCE = ("Dense", "LocallyConnected2D", "DivideAndEncode")


def multiply_adds(model: keras.Model) -> dict[str, int]:
    """Count the multiply-adds of the forward pass of one image.

    Returns:
        Multiply-adds by layer name, for the layers with a kernel.

    Raises:
        ValueError: A layer with a kernel is of an unknown kind.
    """
    counts: dict[str, int] = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if getattr(layer, "kernel", None) is None:
            continue
        kind = type(layer).__name__
        if kind == "Conv2D":
            positions = math.prod(layer.output.shape[1:3])
        elif kind in _ONCE:
            positions = 1
        else:
            raise ValueError(f"layer {layer.name!r} is a {kind}: cannot count its products")
        counts[layer.name] = positions * math.prod(layer.kernel.shape)
    return counts


def training_flops(model: keras.Model) -> int:
    """Return the floating-point operations per image of a training step, 3 x forward."""
    products = sum(multiply_adds(model).values())
    return FORWARDS_PER_TRAINING_STEP * FLOPS_PER_MULTIPLY_ADD * products


def matrix_peak(side: int, repeats: int = 10, dtype: str = "float32") -> float:
    """Measure the product of two square matrices on JAX or PyTorch, whichever Keras uses.

    This is the highest speed that a machine reaches in practice; nothing reaches the nominal peak.

    Args:
        side: Number of rows and columns.
        repeats: Number of timed products, after 3 untimed ones; the median counts.
        dtype: Type of the matrices and of the product.

    Returns:
        GFLOP/s, with two operations per multiply-add.
    """
    multiply = _product(side, dtype)
    seconds = []
    for _ in range(3 + repeats):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / statistics.median(seconds[3:]) / 1e9


def _product(side: int, dtype: str) -> Callable[[], Any]:
    """Return a function that multiplies, and returns when the product is complete."""
    import keras

    rng = keras.random.SeedGenerator(20171)
    left, right = (keras.random.normal((side, side), seed=rng, dtype=dtype) for _ in range(2))
    if keras.backend.backend() == "jax":
        import jax

        jitted = jax.jit(lambda a, b: a @ b)
        return lambda: jitted(left, right).block_until_ready()
    import torch

    def multiply() -> None:
        with torch.no_grad():
            left @ right
        if left.is_cuda:
            torch.cuda.synchronize()

    return multiply
