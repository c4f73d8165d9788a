"""The most a machine does in practice: the speed of one large matrix product.

Measured by the framework, in the number of threads and at the precision of what it is compared
with. A processor's nominal peak would be a fairer-sounding and a less useful rival: nothing
reaches it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def matrix_peak(side: int, repeats: int = 10, dtype: str = "float32") -> float:
    """Measure the product of two square matrices on Keras's backend.

    Args:
        side: Rows and columns of both.
        repeats: Timed products, of which the median counts; 3 untimed ones go before.
        dtype: Of both matrices and of the product.

    Returns:
        GFLOP/s, at two operations a multiply-add.
    """
    multiply = _product(side, dtype)
    seconds = []
    for _ in range(3 + repeats):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / statistics.median(seconds[3:]) / 1e9


def _product(side: int, dtype: str) -> Callable[[], Any]:
    """Return a call that multiplies, and that returns only when the product is there."""
    import keras

    rng = keras.random.SeedGenerator(20171)
    left, right = (keras.random.normal((side, side), seed=rng, dtype=dtype) for _ in range(2))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(tf.matmul)
        # Of a product on a GPU, one number that depends on all of it must come back to be sure.
        return lambda: compiled(left, right)[0, 0].numpy()
    if backend == "jax":
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
