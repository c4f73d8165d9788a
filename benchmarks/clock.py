"""Clocks that stand beside a `fit`. Importing this imports Keras."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import keras


class EpochClock(keras.callbacks.Callback):
    """Notes when each epoch ended.

    By then Keras has turned the epoch's losses into numbers, which a backend that computes in the
    background must have finished. Whatever other callbacks do belongs to the epoch that follows,
    or to the same one, and is in the difference of two ends in either case.

    Attributes:
        started: Time at which `fit` began to train.
        ends: Time of the end of each epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started = 0.0
        self.ends: list[float] = []

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


class StepClock(keras.callbacks.Callback):
    """Times steps one by one, and stops when there are enough.

    Args:
        untimed: First steps, which compile and warm up.
        least: Timed steps, at least.
        budget: Seconds after which it stops, once it has `least`.

    Attributes:
        warming: Seconds of the untimed steps together.
        seconds: Of each timed step.
    """

    def __init__(self, untimed: int, least: int, budget: float) -> None:
        super().__init__()
        self.untimed = untimed
        self.least = least
        self.budget = budget
        self.warming = 0.0
        self.seconds: list[float] = []
        self._steps = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._last = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Wait for the step, and note its time."""
        float(keras.ops.convert_to_numpy((logs or {})["loss"]))
        now = time.perf_counter()
        self._steps += 1
        if self._steps > self.untimed:
            self.seconds.append(now - self._last)
        else:
            self.warming += now - self._last
        self._last = now
        if len(self.seconds) >= self.least and sum(self.seconds) >= self.budget:
            self.model.stop_training = True
