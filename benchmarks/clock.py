"""A clock for the epochs of `fit`. Importing this module imports Keras."""

import time
from collections.abc import Mapping

import keras


class EpochClock(keras.callbacks.Callback):
    """Records the time at which each epoch ends.

    By then Keras has read the losses of the epoch, so a backend that computes asynchronously has
    finished. The work of other callbacks is included in the same epoch or in the next one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started = 0.0
        self.ends: list[float] = []  # one per epoch

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record the time."""
        self.ends.append(time.perf_counter())
