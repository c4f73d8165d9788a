"""Training steps of PyTorch as a CUDA graph.

A step of Keras on PyTorch starts about a thousand kernels, and Python needs ten times as long to
start them as the GPU to run them. A CUDA graph records the kernels once and starts all with one
call. A step can be recorded if it neither waits for the GPU nor copies from the host: constants are
created before, and the random numbers of the augmentation are drawn beside the graph.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

log = logging.getLogger(__name__)

EAGER = 3
"""Steps before the recording: they create what a step needs on its first calls."""


class Constants(TorchFunctionMode):
    """Keeps the tensors that are made from the same numbers of the host, in the block.

    Recording a graph, PyTorch can use such a tensor but not make it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tensors: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch, or return what it returned for the same number."""
        kwargs = kwargs or {}
        made = function in (torch.as_tensor, torch.tensor) and args
        if not made or isinstance(args[0], torch.Tensor):
            return function(*args, **kwargs)
        values = np.asarray(args[0])
        number = type(args[0]), values.shape, values.dtype, values.tobytes()
        key = number, args[1:], tuple(sorted(kwargs.items(), key=str))
        if key not in self._tensors:
            tensor = function(*args, **kwargs)
            self._tensors[key] = tensor, tensor.clone()
        return self._tensors[key][0]

    @property
    def unchanged(self) -> bool:
        """Whether no step has changed a constant."""
        return all(torch.equal(*pair) for pair in self._tensors.values())


class GraphedStep:
    """Trains on the rows of whole batches, from the fourth on as a CUDA graph.

    Args:
        train: Trains on one batch: row numbers and classes, integers (batch,), on the GPU.
        layers: The layers that draw random numbers, each an `Augmentation`.
        images: The training images on the GPU, (n, height, width, channels).
        batch: Images per step. Batches of other sizes are never recorded.
    """

    def __init__(
        self, train: Callable[[Any, Any], Any], layers: list[Any], images: torch.Tensor, batch: int
    ) -> None:
        self._train, self._layers, self._sample = train, layers, images[:batch]
        self._batch = batch
        self._constants = Constants()
        self._stream = torch.cuda.Stream(images.device)
        self._rows = torch.zeros(batch, dtype=torch.int64, device=images.device)
        self._classes = torch.zeros(batch, dtype=torch.int32, device=images.device)
        self._numbers: list[tuple[torch.Tensor, ...]] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._steps, self._recordable = 0, True

    def __call__(self, rows: torch.Tensor, classes: torch.Tensor) -> None:
        """Train on one batch.

        The step runs on a stream of its own, so that the numbers for the next one are drawn, and
        its rows copied, meanwhile. After the last step of an epoch, call `finish`.
        """
        whole = len(rows) == self._batch == len(self._sample)
        if not (whole and self._recordable):
            self._on_stream(lambda: self._train(rows, classes))
            return
        drawn = [layer.draw(self._sample) for layer in self._layers]
        if not self._numbers:
            self._numbers = [tuple(number.clone() for number in numbers) for numbers in drawn]
        self._on_stream(lambda: self._copy(rows, classes, drawn))
        if self._graph is None and self._steps == EAGER:
            self._record()
        self._steps += 1
        graph = self._graph
        self._on_stream(self._prepared_step if graph is None else graph.replay)

    def finish(self) -> None:
        """Let what follows wait for the steps."""
        torch.cuda.current_stream().wait_stream(self._stream)

    def _on_stream(self, work: Callable[[], Any]) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            work()

    def _copy(self, rows: torch.Tensor, classes: torch.Tensor, drawn: list[Any]) -> None:
        """Copy a batch, and the random numbers for it, to where the graph reads them."""
        pairs = [(self._rows, rows), (self._classes, classes)]
        for mine, numbers in zip(self._numbers, drawn, strict=True):
            pairs += zip(mine, numbers, strict=True)
        for target, source in pairs:
            target.copy_(source)
            source.record_stream(self._stream)

    def _prepared_step(self) -> None:
        """Train on the copied batch, with the numbers that were drawn and the constants made."""
        for layer, numbers in zip(self._layers, self._numbers, strict=True):
            layer.numbers = numbers
        try:
            with self._constants:
                self._train(self._rows, self._classes)
        finally:
            for layer in self._layers:
                layer.numbers = None

    def _record(self) -> None:
        """Record a step without running it, or go on without a graph if that fails."""
        graph = torch.cuda.CUDAGraph()
        try:
            torch.cuda.synchronize()
            if not self._constants.unchanged:
                raise RuntimeError("a step changes a constant")
            with torch.cuda.graph(graph, stream=self._stream):
                self._prepared_step()
        except RuntimeError as error:
            log.info("training without a CUDA graph: %s", str(error).splitlines()[0])
            self._recordable = False
        else:
            self._graph = graph
