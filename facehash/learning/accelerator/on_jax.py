"""The functions of `facehash.learning.accelerator.layers` on JAX.

Each is a formula that XLA compiles to few kernels. Importing this module imports JAX.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from facehash.learning.accelerator.layers import FEW_CHANNELS

PARTS = 1024
"""Sums over rows begin with those of at most so many parts, which a GPU computes side by side."""

LANES = 64
"""Fewer channels are joined with those of the next rows, as a GPU reads so many numbers at once."""

Arrays = tuple[jax.Array, ...]


def convolve(images: jax.Array, kernel: jax.Array, padded: bool) -> jax.Array:
    """Convolve (batch, height, width, channels) with (rows, columns, channels, filters)."""
    rows, columns, channels, filters = kernel.shape
    padding = "SAME" if padded else "VALID"
    if channels >= FEW_CHANNELS:
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    if padded:
        sides = [(n // 2, n // 2) for n in (rows, columns)]
        images = jnp.pad(images, [(0, 0), *sides, (0, 0)])
    height, width = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    moved = [images[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]
    size = rows * columns * channels
    extra = -size % 16  # tensor cores multiply whole blocks
    if extra:
        moved.append(jnp.zeros((*moved[0].shape[:3], extra), images.dtype))
    patches = jnp.concatenate(moved, axis=-1).reshape(-1, size + extra)
    matrix = jnp.pad(kernel.reshape(size, filters), [(0, extra), (0, 0)])
    return (patches @ matrix).reshape(-1, height, width, filters)


def max_pool(images: jax.Array) -> jax.Array:
    """Return the maxima of windows of 2 x 2; the gradient goes to the first of equal ones."""
    return _max_pool(images)


@jax.custom_vjp
def _max_pool(images: jax.Array) -> jax.Array:
    return _windows(images).max((2, 4))


def _windows(images: jax.Array) -> jax.Array:
    count, height, width, channels = images.shape
    return images.reshape(count, height // 2, 2, width // 2, 2, channels)


def _max_pool_forward(images: jax.Array) -> tuple[jax.Array, Arrays]:
    pooled = _max_pool(images)
    return pooled, (images, pooled)


def _max_pool_backward(saved: Arrays, gradient: jax.Array) -> tuple[jax.Array]:
    images, pooled = saved
    places = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    reached = _windows(images) == pooled[:, :, None, :, None]
    first = jnp.where(reached, places, jnp.int8(4)).min((2, 4), keepdims=True)
    none = jnp.zeros((), gradient.dtype)
    return (jnp.where(places == first, gradient[:, :, None, :, None], none).reshape(images.shape),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def normalize(
    inputs: jax.Array, scale: jax.Array, offset: jax.Array, epsilon: float, relu: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalize by the statistics of the batch.

    Args:
        inputs: (..., channels), of any float type; the outputs have the same.
        scale: float32 (channels,).
        offset: float32 (channels,).
        epsilon: Added to the variance.
        relu: Whether to set negative outputs to 0.

    Returns:
        The outputs, and mean and variance of the inputs, float32 (channels,).
    """
    return _normalize(inputs, scale, offset, epsilon, relu)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalize(
    inputs: jax.Array, scale: jax.Array, offset: jax.Array, epsilon: float, relu: bool
) -> Arrays:
    return _normalize_forward(inputs, scale, offset, epsilon, relu)[0]


def _normalize_forward(
    inputs: jax.Array, scale: jax.Array, offset: jax.Array, epsilon: float, relu: bool
) -> tuple[Arrays, Arrays]:
    wide = inputs.astype(jnp.float32)
    mean, square = _sums(wide, wide * wide) / _rows(inputs)
    variance = jnp.maximum(square - mean * mean, 0)
    inverse = jax.lax.rsqrt(variance + epsilon)
    factor = inverse * scale
    shift = offset - mean * factor
    outputs = wide * factor + shift
    if relu:
        outputs = jnp.maximum(outputs, 0)
    saved = inputs, mean, inverse, factor, shift
    return (outputs.astype(inputs.dtype), mean, variance), saved


def _normalize_backward(epsilon: float, relu: bool, saved: Arrays, gradients: Arrays) -> Arrays:
    """Return the gradients of inputs, scale and offset; mean and variance pass none on.

    The formulas read few numbers per channel, so that XLA computes the ReLU again where it needs
    it, instead of storing it.
    """
    inputs, mean, inverse, factor, shift = saved
    wide, gradient = inputs.astype(jnp.float32), gradients[0].astype(jnp.float32)
    if relu:
        gradient = jnp.where(wide * factor + shift > 0, gradient, 0)
    of_offset, with_inputs = _sums(gradient, gradient * (wide - mean))
    of_scale = with_inputs * inverse
    slope = -factor * inverse * of_scale / _rows(inputs)
    constant = -factor * of_offset / _rows(inputs) - mean * slope
    of_inputs = gradient * factor + wide * slope + constant
    return of_inputs.astype(inputs.dtype), of_scale, of_offset


_normalize.defvjp(_normalize_forward, _normalize_backward)


def _rows(inputs: jax.Array) -> int:
    return inputs.size // inputs.shape[-1]


def _sums(*arrays: jax.Array) -> jax.Array:
    """Sum arrays (..., channels) over all other axes, in two kernels: (arrays, channels)."""
    channels, rows = arrays[0].shape[-1], _rows(arrays[0])
    joined = math.gcd(max(1, LANES // channels), rows)
    parts = math.gcd(PARTS // joined, rows // joined)
    shape = (parts, rows // joined // parts, joined * channels)
    first: Any = [array.reshape(shape).sum(1) for array in arrays]
    # Otherwise XLA joins the two sums into one, which keeps a few processors busy.
    first = jax.lax.optimization_barrier(first)
    return jnp.stack(first).reshape(len(arrays), -1, channels).sum(1)
