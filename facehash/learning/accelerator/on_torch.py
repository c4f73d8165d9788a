"""The functions of `facehash.learning.accelerator.layers` on PyTorch.

Images of Keras are (batch, height, width, channels). The tensor cores use that order too, which
PyTorch calls channels last: a transposed view is all that it needs. Keras makes a copy.
"""

import torch
from torch.nn import functional

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def convolve(images: torch.Tensor, kernel: torch.Tensor, padded: bool) -> torch.Tensor:
    """Convolve (batch, height, width, channels) with (rows, columns, channels, filters)."""
    padding = [size // 2 for size in kernel.shape[:2]] if padded else 0
    weights = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    return _channels_last(functional.conv2d(_channels_first(images), weights, padding=padding))


def max_pool(images: torch.Tensor) -> torch.Tensor:
    """Return the maxima of windows of 2 x 2."""
    return _channels_last(functional.max_pool2d(_channels_first(images), 2))


def normalize(
    inputs: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, epsilon: float, relu: bool
) -> Tensors:
    """Normalize by the statistics of the batch, as `on_jax.normalize`."""
    images = _channels_first(inputs) if inputs.ndim == 4 else inputs
    channels = images.shape[1]
    rows = images.numel() // channels
    # With a momentum of 1, these become the statistics of the batch.
    mean, variance = (torch.zeros(channels, device=images.device) for _ in range(2))
    outputs = functional.batch_norm(images, mean, variance, scale, offset, True, 1.0, epsilon)
    if relu:
        outputs = functional.relu(outputs, inplace=True)
    # PyTorch stores the unbiased variance.
    return _channels_last(outputs), mean, variance * ((rows - 1) / rows)


def _channels_first(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 3, 1, 2)


def _channels_last(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 2, 3, 1) if images.ndim == 4 else images
