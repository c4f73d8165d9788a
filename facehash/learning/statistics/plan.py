"""The calls of a functional network in forward order, so that it can be stopped at a batch norm."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from facehash.learning.statistics.norms import trained_norms

MEMORY = 512 * 2**20
"""Bytes of activations that are kept between two layers."""

Tensors = dict[int, Any]
"""Tensors by the id of the symbolic tensor."""


@dataclass(frozen=True)
class Step:
    """A call of an operation in the graph of a network; tensors are ids of symbolic tensors."""

    operation: Any
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    compute: Callable[[Tensors], list[Any]]


class Plan:
    """The calls of a functional network up to its last batch norm, in forward order.

    Attributes:
        source: Id of the input of the network.
        steps: The calls; those inside nested functional models are steps of their own.
        layers: Index of the step and layer of each batch norm to estimate.
        needed: For each step, ids of the tensors that it or a later one reads.
    """

    def __init__(self, network: Any) -> None:
        self.steps: list[Step] = []
        self._bytes: dict[int, float] = {}  # per image
        self.source = 0
        if hasattr(network, "_nodes_by_depth"):  # functional
            self.source = id(network.inputs[0])
            self._record(network.inputs)
            self._add(network)
        trained = {id(layer) for layer in trained_norms(network) if not layer.renorm}
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
            if images * sum(self._bytes[key] for key in self.needed[index]) <= MEMORY:
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
                    self.steps.append(Step(node.operation, reads, writes, _call(node)))
                    continue
                self._record(nested.inputs)
                self._rename(node.input_tensors, nested.inputs)
                self._add(nested)
                self._rename(nested.outputs, node.outputs)

    def _rename(self, sources: list[Any], targets: list[Any]) -> None:
        """Add a step that passes tensors into a nested model, or out of it."""
        reads = _ids(sources)
        step = Step(None, reads, _ids(targets), lambda values: [values[key] for key in reads])
        self.steps.append(step)

    def _record(self, tensors: list[Any]) -> None:
        for tensor in tensors:
            sizes = [math.inf if size is None else size for size in tensor.shape[1:]]
            self._bytes[id(tensor)] = 4 * math.prod(sizes)


def layers_not_estimated(model: Any) -> list[str]:
    """Name the batch-norm layers that training changes and `reestimate_statistics` cannot reach.

    These are layers that are called more than once, and layers inside other layers or models that
    are not functional.
    """
    estimated = {id(layer) for _, layer in Plan(model.network).layers}
    return [layer.name for layer in trained_norms(model) if id(layer) not in estimated]


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


def _ids(tensors: list[Any]) -> tuple[int, ...]:
    return tuple(map(id, tensors))
