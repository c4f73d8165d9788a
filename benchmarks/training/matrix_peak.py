"""The highest speed that a machine reaches in practice: one large matrix product.

It is measured with the same framework, threads and precision as the training that it is compared
with. Nothing reaches the nominal peak of a processor.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any


def matrix_peak(side: int, repeats: int = 10, dtype: str = "float32") -> float:
    """Measure the product of two square matrices on JAX or PyTorch, whichever Keras uses.

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
