"""Statistics of batch normalization, estimated from the training images for the weights in use.

During training, batch normalization uses the statistics of each batch; afterwards it uses moving
averages of them. With momentum 0.99 these averages need about 500 steps to follow the weights, so
a short training ends with a network that is right in training and wrong in use.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from facehash.codes import sign
from facehash.learning.backend import compiled, without_gradients

LARGEST_SAMPLE = 2048
"""The most training images that are used before a validation, or to compare accuracies."""

_SMALLEST_SAMPLE, _SHARE = 256, 10  # of a validation: a tenth of the images costs under 5% of time
_MEMORY = 512 * 2**20  # bytes of activations that are kept between two layers
_SAMPLE_STREAM = 0xBA7C4  # another random stream than that of the batches

Tensors = dict[int, Any]  # by the id of the symbolic tensor


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
        self._plan = _Plan(model.network)
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
                moments = _Moments()
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
        with _unchanged(self.model.network.non_trainable_variables):
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
                values = {plan.source: _standardized(self.model, values[plan.source])}
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
    return np.sort(_shuffled(count, seed)[:size])


def layers_not_estimated(model: Any) -> list[str]:
    """Name the batch-norm layers that training changes and `reestimate_statistics` cannot reach.

    These are layers that are called more than once, and layers inside other layers or models that
    are not functional.
    """
    estimated = {id(layer) for _, layer in _Plan(model.network).layers}
    return [layer.name for layer in _trained_norms(model) if id(layer) not in estimated]


def uses_batch_norm(model: Any) -> bool:
    """Return whether the model has batch-norm layers that training changes."""
    return bool(_trained_norms(model))


def needs_two_images(model: Any) -> bool:
    """Return whether a batch of one image has no variance in some batch-norm layer.

    It has none in a layer that receives one value per image and channel: the output is then a
    constant. A layer after a convolution has one value per position.
    """
    for layer in _trained_norms(model):
        with contextlib.suppress(AttributeError, ValueError):  # not in a graph, or called twice
            shape = list(layer.input.shape[1:])
            del shape[layer.axis - 1 if layer.axis > 0 else layer.axis]
            if all(size == 1 for size in shape):
                return True
    return False


@dataclass(frozen=True)
class TrainedState:
    """What the trained network does with a sample of its training images."""

    training: float  # accuracy with the statistics of batches, 0 to 1
    inference: float  # accuracy with the statistics of the model, 0 to 1
    constant_bits: int  # bits that are equal in the codes of all these images


def inspect_training(
    model: Any, images: NDArray[np.uint8], classes: NDArray[np.integer], batch: int, seed: int
) -> TrainedState:
    """Compare the network in training mode and in use, on at most 2,048 images, not augmented.

    Nothing in the model changes.

    Args:
        model: A trained model.
        images: uint8 (n, side, side, 3), the training images, n >= 1.
        classes: int (n,), their classes.
        batch: Images per training step; the sample is cut to whole batches.
        seed: Seed of the run, which draws the sample.
    """
    size = min(batch, len(images), LARGEST_SAMPLE)
    rows = _shuffled(len(images), seed)[: LARGEST_SAMPLE // size * size]
    rows = rows[: len(rows) // size * size].reshape(-1, size)
    found: dict[bool, list[NDArray[Any]]] = {True: [], False: []}
    codes = []
    network = model.network
    for training in (True, False):
        forward = compiled(functools.partial(_outputs, model, training), network.variables)
        with without_gradients(), _unchanged(network.non_trainable_variables):
            for step in rows:
                relaxed, guessed = map(ops.convert_to_numpy, forward(images[step]))
                found[training].append(guessed == classes[step])
                if not training:
                    codes.append(sign(relaxed))
    signs = np.concatenate(codes)
    return TrainedState(
        training=float(np.mean(found[True])),
        inference=float(np.mean(found[False])),
        constant_bits=int((signs == signs[:1]).all(axis=0).sum()),
    )


@dataclass(frozen=True)
class _Step:
    """A call of an operation in the graph of a network; tensors are ids of symbolic tensors."""

    operation: Any
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    compute: Callable[[Tensors], list[Any]]


class _Plan:
    """The calls of a functional network up to its last batch norm, in forward order.

    Attributes:
        source: Id of the input of the network.
        steps: The calls; those inside nested functional models are steps of their own.
        layers: Index of the step and layer of each batch norm to estimate.
        needed: For each step, ids of the tensors that it or a later one reads.
    """

    def __init__(self, network: Any) -> None:
        self.steps: list[_Step] = []
        self._bytes: dict[int, float] = {}  # per image
        self.source = 0
        if hasattr(network, "_nodes_by_depth"):  # functional
            self.source = id(network.inputs[0])
            self._record(network.inputs)
            self._add(network)
        trained = {id(layer) for layer in _trained_norms(network) if not layer.renorm}
        calls = Counter(id(step.operation) for step in self.steps)
        self.layers = [
            (index, step.operation)
            for index, step in enumerate(self.steps)
            if id(step.operation) in trained and calls[id(step.operation)] == 1
        ]
        self.steps = self.steps[: self.layers[-1][0] + 1 if self.layers else 0]
        self.needed: list[frozenset[int]] = []
        later: frozenset[int] = frozenset()
        for step in reversed(self.steps):
            later = (later - frozenset(step.writes)) | frozenset(step.reads)
            self.needed.insert(0, later)

    def latest_in_memory(self, first: int, position: int, images: int) -> int:
        """Return the last step up to `position` before which all images fit into memory.

        Before step `first` they are in memory already.
        """
        for index in range(position, first, -1):
            if images * sum(self._bytes[key] for key in self.needed[index]) <= _MEMORY:
                return index
        return first

    def _add(self, function: Any) -> None:
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for node in function._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                self._record(node.outputs)
                nested = getattr(node.operation, "_functional", None) or node.operation
                if not hasattr(nested, "_nodes_by_depth"):
                    reads, writes = map(_ids, (node.input_tensors, node.outputs))
                    self.steps.append(_Step(node.operation, reads, writes, _call(node)))
                    continue
                self._record(nested.inputs)
                self._rename(node.input_tensors, nested.inputs)
                self._add(nested)
                self._rename(nested.outputs, node.outputs)

    def _rename(self, sources: list[Any], targets: list[Any]) -> None:
        """Add a step that passes tensors into a nested model, or out of it."""
        reads = _ids(sources)
        step = _Step(None, reads, _ids(targets), lambda values: [values[key] for key in reads])
        self.steps.append(step)

    def _record(self, tensors: list[Any]) -> None:
        for tensor in tensors:
            sizes = [math.inf if size is None else size for size in tensor.shape[1:]]
            self._bytes[id(tensor)] = 4 * math.prod(sizes)


class _Moments:
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


def _call(node: Any) -> Callable[[Tensors], list[Any]]:
    """Return a function that calls a node's operation in inference mode."""
    operation = node.operation
    takes_training = isinstance(operation, keras.Layer) and (
        "training" in inspect.signature(operation.call).parameters
    )

    def compute(values: Tensors) -> list[Any]:
        args, kwargs = node.arguments.fill_in(values)
        if takes_training:
            kwargs = {**kwargs, "training": False}
        return keras.tree.flatten(operation(*args, **kwargs))

    return compute


def _trained_norms(model: Any) -> list[Any]:
    """List the batch-norm layers, at any depth, whose statistics training changes."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


@contextlib.contextmanager
def _unchanged(variables: list[Any]) -> Iterator[None]:
    """Restore the values of variables after a block."""
    # Copies: an array from PyTorch shares the memory of the variable.
    before = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _outputs(model: Any, training: bool, images: Any) -> tuple[Any, Any]:
    """Return relaxed codes and the classes with the largest logits."""
    outputs = model.network(_standardized(model, images), training=training)
    return ops.cast(outputs["relaxed"], "float32"), ops.argmax(outputs["logits"], axis=-1)


def _standardized(model: Any, images: NDArray[np.uint8]) -> Any:
    return model.standardize(ops.cast(images, "float32"))


def _padded(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    missing = size - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def _shuffled(count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, _SAMPLE_STREAM]).permutation(count)


def _ids(tensors: list[Any]) -> tuple[int, ...]:
    return tuple(map(id, tensors))
