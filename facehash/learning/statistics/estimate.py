"""Statistics of batch normalization, estimated from the training images for the weights in use.

During training, batch normalization uses the statistics of each batch; afterwards it uses moving
averages of them. With momentum 0.99 these averages need about 500 steps to follow the weights, so
a short training ends with a network that is right in training and wrong in use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from facehash.learning.backend import compiled, without_gradients
from facehash.learning.statistics.plan import Plan, Tensors

LARGEST_SAMPLE = 2048
"""The most training images that are used before a validation, or to compare accuracies."""

_SMALLEST_SAMPLE, _SHARE = 256, 10  # of a validation: a tenth of the images costs under 5% of time
_SAMPLE_STREAM = 0xBA7C4  # another random stream than that of the batches


def reestimate_statistics(model: Any, images: NDArray[np.uint8]) -> int:
    """Replace the moving means and variances by the statistics of the training images.

    The layers are visited in forward order. Each receives the images in inference mode, through
    layers below that already use their new statistics::

        mean = E[x],  variance = E[(x - mean)^2]   per channel, over all images and positions

    The result depends on the weights and the images only, not on the order of the images, the size
    of the steps or the backend, up to rounding. Weights, optimizer and frozen layers, which use
    their statistics during training too, stay as they are, and so do `layers_not_estimated`.

    Args:
        model: A `facehash.learning.hash_model.HashModel`; its statistics change in place.
        images: uint8 (n, side, side, 3), at least one; or vectors float32 (n, d).

    Returns:
        The number of layers whose statistics were estimated.

    Example:
        >>> from ddh.model import DDH
        >>> model = DDH(bits=48, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> reestimate_statistics(model, np.zeros((10, 32, 32, 3), np.uint8))
        6

    Reference:
        Wu and Johnson. Rethinking "Batch" in BatchNorm. 2021, section 3, arXiv 2105.07576: precise
        statistics. Here each layer sees the new statistics of those below it, instead of batches.
    """
    return StatisticsEstimator(model).estimate(images)


class StatisticsEstimator:
    """Does what `reestimate_statistics` does, repeatedly for one model.

    Args:
        model: A `facehash.learning.hash_model.HashModel`.
        batch: Images per step; changes memory and speed only.
    """

    def __init__(self, model: Any, batch: int = 256) -> None:
        self.model, self.batch = model, batch
        self._plan = Plan(model.network)
        self._parts: dict[tuple[int, int, int], Callable[..., Any]] = {}

    def estimate(self, images: NDArray[np.uint8]) -> int:
        """Estimate the statistics; arguments and result as of `reestimate_statistics`."""
        batch = min(self.batch, len(images))
        held: dict[int, Tensors] = {}  # by the start of a batch, the tensors before step `first`
        first = 0
        with without_gradients():
            for position, layer in self._plan.layers:
                kept_at = self._plan.latest_in_memory(first, position, len(images))
                part = self._part(first, kept_at, position)
                moments = Moments()
                for start in range(0, len(images), batch):
                    # Padded: JAX would compile everything again for a smaller last batch.
                    values = held.get(start)
                    if values is None:
                        values = {self._plan.source: _padded(images[start : start + batch], batch)}
                    kept, inputs = part(values)
                    if kept_at > 0:
                        held[start] = kept
                    received = ops.convert_to_numpy(inputs)[: len(images) - start]
                    moments.add(received, layer.axis)
                layer.moving_mean.assign(moments.mean.astype(np.float32))
                layer.moving_variance.assign((moments.squares / moments.count).astype(np.float32))
                first = kept_at
        return len(self._plan.layers)

    @contextlib.contextmanager
    def estimated(self, images: NDArray[np.uint8]) -> Iterator[None]:
        """Use the estimated statistics inside a block, such as a validation during training.

        Afterwards the moving averages are what they were: training continues as if without it.

        Args:
            images: uint8 (n, side, side, 3), usually the images of `draw_sample`.
        """
        with unchanged(self.model.network.non_trainable_variables):
            self.estimate(images)
            yield

    def _part(self, first: int, kept_at: int, position: int) -> Callable[..., Any]:
        """Return a function from the tensors before step `first` to those to keep and the inputs.

        The latter are float32, what the batch norm at step `position` receives.
        """
        plan, key = self._plan, (first, kept_at, position)

        def part(values: Tensors) -> tuple[Tensors, Any]:
            kept: Tensors = {}
            if first == 0:
                values = {plan.source: standardized(self.model, values[plan.source])}
            for index in range(first, position + 1):
                values = {key: values[key] for key in plan.needed[index]}
                if index == kept_at > 0:
                    kept = values
                if index < position:
                    step = plan.steps[index]
                    values = values | dict(zip(step.writes, step.compute(values), strict=True))
            return kept, ops.cast(values[plan.steps[position].reads[0]], "float32")

        if key not in self._parts:
            self._parts[key] = compiled(part, self.model.network.variables)
        return self._parts[key]


def draw_sample(count: int, seed: int) -> NDArray[np.int64]:
    """Draw the training images that stand for all `count` of them before a validation.

    Returns:
        int64, increasing: a tenth of the images, but at least 256 and at most `LARGEST_SAMPLE`;
        the same for the same seed, so in every epoch of a run.
    """
    size = min(count, LARGEST_SAMPLE, max(_SMALLEST_SAMPLE, count // _SHARE))
    return np.sort(shuffled(count, seed)[:size])


class Moments:
    """Mean and sum of squared deviations per channel, merged block by block in float64.

    Sums of squares of the values themselves would cancel. Reference: Chan, Golub, LeVeque.
    Algorithms for computing the sample variance. 1983, equation 2.1.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, values: NDArray[np.float32], axis: int) -> None:
        """Add the values (images, ..., channels, ...) of a block of images."""
        channels = values.shape[axis]
        rows = np.moveaxis(values, axis, -1).reshape(len(values), -1, channels)
        positions = rows.shape[1]
        # Per image first, in float32: these sums are short, and so the result does not depend on
        # how the images are divided into blocks.
        means = np.full((1, positions), 1 / positions, np.float32) @ rows  # (images, 1, channels)
        deviations = rows - means
        within = np.einsum("ipc,ipc->ic", deviations, deviations).sum(axis=0, dtype=np.float64)
        means = means[:, 0].astype(np.float64)
        mean = means.mean(axis=0)
        squares = within + positions * np.square(means - mean).sum(axis=0)
        count, total = len(rows) * positions, self.count + len(rows) * positions
        difference = mean - self.mean
        self.squares = self.squares + squares + difference**2 * (self.count * count / total)
        self.mean = self.mean + difference * (count / total)
        self.count = total


@contextlib.contextmanager
def unchanged(variables: list[Any]) -> Iterator[None]:
    """Restore the values of variables after a block."""
    # Copies: an array from PyTorch shares the memory of the variable.
    before = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def standardized(model: Any, images: NDArray[np.uint8]) -> Any:
    """Return what the network of a model receives for images uint8 (n, side, side, 3)."""
    return model.standardize(ops.cast(images, "float32"))


def _padded(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    missing = size - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def shuffled(count: int, seed: int) -> NDArray[np.int64]:
    """Return 0..count - 1 in an order of their own for every seed of a run."""
    return np.random.default_rng([seed, _SAMPLE_STREAM]).permutation(count)
