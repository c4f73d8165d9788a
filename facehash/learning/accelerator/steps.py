"""Training steps that keep an accelerator busy: the images stay on it, and JAX groups the steps.

On a GPU a step takes less time than the host needs to start it and to copy its images. So the whole
training set is kept there as uint8 if it fits, and a batch consists of row numbers. On JAX one call
runs several steps; on PyTorch a step is a CUDA graph. On TensorFlow, batches do not pass through
tf.data, whose threads compete with a step on a CPU. They change no result: the rows are drawn as
without them.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facehash.learning import accelerator
from facehash.learning.batches import ShuffledBatches

MOST_BYTES = 2**31
"""A larger training set stays on the host."""

STEPS = 32
"""Most steps per call on JAX."""

MANY_STEPS = 32
"""From so many steps per epoch on, the step of TensorFlow is compiled for a smaller last batch too:
it takes seconds, but a step for batches of one size is 3 % faster than one for any size."""


def steps_per_call(images: NDArray[Any], batch: int, devices: int) -> int | None:
    """Return how many steps JAX runs per call if the images are kept on the device.

    Args:
        images: The training images, (n, ...).
        batch: Images per step.
        devices: Number of devices that share each batch. Several get their parts from the host.

    Returns:
        The number of steps, 0 on another backend than JAX, or None if the images stay on the host.
    """
    if devices > 1 or images.nbytes > MOST_BYTES or not accelerator.on_accelerator():
        return None
    if keras.backend.backend() != "jax":
        return 0
    # The steps of an epoch in equal calls; those of other sizes would be compiled too.
    whole = len(images) // batch
    calls = -(-whole // STEPS)
    return whole // calls if calls else 1


class DeviceSteps(keras.Model):
    """A model that can train on row numbers of images that are kept on the device.

    Inside `kept_on_device`, `fit` takes row numbers int32 (steps, batch), or (batch,) on a backend
    other than JAX, in place of images, and classes of the same shape.
    """

    _resident: Any = None
    _graphed: Any = None
    _batches: ShuffledBatches | None = None
    _numbers: Iterator[int] = iter(())  # of the batches that are left of the epoch
    _metrics_at_end = False
    augment: list[Any]

    @contextlib.contextmanager
    def kept_on_device(self, images: NDArray[Any] | None, batch: int) -> Iterator[None]:
        """Keep images on the device, and compute metrics once per epoch, while a training runs.

        Args:
            images: (n, ...); None leaves them on the host, and batches consist of images.
            batch: Images per step.
        """
        self.train_function = None
        # PyTorch would compute all metrics after every step; other backends compile this.
        on_torch = keras.backend.backend() == "torch"
        self._metrics_at_end = on_torch
        if images is not None:
            self._resident = keras.ops.convert_to_tensor(np.asarray(images))
            if on_torch and self._resident.is_cuda:
                from facehash.learning.accelerator.cuda_graph import GraphedStep

                self._graphed = GraphedStep(self._train_on, self.augment, self._resident, batch)
        try:
            yield
        finally:
            if self._graphed is not None:
                self._graphed.finish()
            self.train_function, self._metrics_at_end = None, False
            self._resident = self._graphed = None

    def fit(self, x: Any = None, *arguments: Any, **options: Any) -> Any:
        """Train as `keras.Model.fit` does."""
        if keras.backend.backend() != "tensorflow" or not isinstance(x, ShuffledBatches):
            return super().fit(x, *arguments, **options)
        import tensorflow

        self._batches = x
        # Keras needs a data set, but nothing is read from it: even the next of its numbers takes a
        # millisecond or two, and its end can take a second.
        nothing = tensorflow.data.Dataset.range(1).repeat()
        epochs = keras.callbacks.LambdaCallback(
            on_epoch_begin=self._begin_epoch, on_epoch_end=lambda *_: x.on_epoch_end()
        )
        options["callbacks"] = [*(options.get("callbacks") or []), epochs]
        self.train_function = None
        try:
            return super().fit(nothing, *arguments, steps_per_epoch=len(x), **options)
        finally:
            self._batches = self.train_function = None

    def train_step(self, *arguments: Any) -> Any:
        """Train on one batch, of images or of row numbers."""
        if self._resident is None or keras.backend.backend() == "jax":
            return super().train_step(*arguments)
        rows, classes = arguments[0]
        if self._graphed is not None:
            self._graphed(rows, classes)
            return {}
        return self._train_on(rows, classes)

    def _train_on(self, rows: Any, classes: Any) -> Any:
        return super().train_step((keras.ops.take(self._resident, rows, axis=0), classes))

    def make_train_function(self, force: bool = False) -> Any:
        """Compile a step, or several of JAX, into one function."""
        of_jax = self._resident is not None and keras.backend.backend() == "jax"
        if not of_jax and self._batches is None:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = self._steps_of_jax() if of_jax else self._step_of_tensorflow()
        return None

    def _step_of_tensorflow(self) -> Callable[[Any], Any]:
        """Return a function that trains on the next batch; its argument is not read."""
        import tensorflow

        batches: Any = self._batches
        specs = [tensorflow.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0]]
        one_size = batches.used % batches.batch == 0 or len(batches) >= MANY_STEPS

        @tensorflow.function(
            input_signature=None if one_size else specs, jit_compile=self.jit_compile or None
        )
        def step(x: Any, y: Any) -> Any:
            return self.train_step((x, y))

        return lambda iterator: step(*batches[next(self._numbers)])

    def _begin_epoch(self, *_: Any) -> None:
        self._numbers = iter(range(len(self._batches or ())))

    def _steps_of_jax(self) -> Callable[[Any, Any], Any]:
        """Return a function of several steps; the images are one of its arguments."""
        import jax

        # Closed over instead, the images would become a constant of the compiled program.
        @functools.partial(jax.jit, donate_argnums=0)
        def steps(state: Any, images: Any, rows: Any, classes: Any) -> Any:
            def step(state: Any, batch: Any) -> Any:
                rows, classes = batch
                return self.train_step(state, (images[rows], classes))

            # A list of the logs of all steps would take a kernel per step and log.
            shapes, _ = jax.eval_shape(step, state, (rows[0], classes[0]))
            logs = jax.tree.map(lambda one: jax.numpy.zeros(one.shape, one.dtype), shapes)
            last, _ = jax.lax.scan(
                lambda both, batch: (step(both[1], batch), None), (logs, state), (rows, classes)
            )
            return last

        images = self._resident
        return lambda state, iterator: steps(state, images, *next(iterator)[:2])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the metrics, or nothing before the end of an epoch."""
        if self._metrics_at_end:
            return {}
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        if self._graphed is not None:
            self._graphed.finish()
        if self._metrics_at_end:
            return self.get_metrics_result()
        if self._batches is not None and logs.keys() == {one.name for one in self.metrics}:
            return logs  # the compiled step has computed them from the same sums
        return super()._get_metrics_result_or_logs(logs)
