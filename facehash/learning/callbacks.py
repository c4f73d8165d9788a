"""Keras callbacks of a training: history, best weights, backups and progress."""

import contextlib
import importlib.util
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from facehash.errors import InputError
from facehash.learning.backup import Backup, device_copies, training_variables
from facehash.learning.hash_model import HashModel
from facehash.learning.model_files import save_model_file
from facehash.printing import progress
from facehash.runs.continuation import best_epoch, is_exhausted
from facehash.runs.directory import DamagedRunError
from facehash.runs.files import read_history, write_history

Statistics = Callable[[], contextlib.AbstractContextManager[None]]
"""Enters a context in which batch normalization has other statistics."""


class TrainingDiverged(InputError):
    """A loss term became NaN or infinite."""


class History(keras.callbacks.Callback):
    """Writes history.csv: one row per epoch with every loss term and the seconds it took.

    Args:
        path: The file, replaced as a whole after each epoch.
        rows: The rows that the file already has when training resumes.
        done: Epochs in the backup; later rows are dropped, because those epochs run again.

    Raises:
        DamagedRunError: There are fewer rows than epochs in the backup.
    """

    def __init__(self, path: Path, rows: list[dict[str, float]], done: int) -> None:
        super().__init__()
        if len(rows) < done:
            raise DamagedRunError(
                f"{path}: has {len(rows)} epochs, the backup {done}; --overwrite starts again"
            )
        self.path = path
        self.rows = rows[:done]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Append the epoch's row."""
        terms = {name: float(value) for name, value in sorted((logs or {}).items())}
        for name, value in terms.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name} became {value} in epoch {epoch + 1}; "
                    "lower training.learning_rate, or use precision float32"
                )
        seconds = round(time.perf_counter() - self._started, 3)
        self.rows.append({"epoch": epoch + 1, **terms, "seconds": seconds})
        write_history(self.path, self.rows)


class EpochState(keras.callbacks.Callback):
    """Copies the state at the end of each epoch, on the device, for the callbacks after this one.

    Attributes:
        state: Values of `training_variables` after the last whole epoch; empty before the first.
        weights: Those of the model's weights among them, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: list[Any] = []
        self.weights: list[Any] = []

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Find the variables."""
        self._variables = training_variables(self.model)
        places = {id(variable): place for place, variable in enumerate(self._variables)}
        self._places = [places[id(weight)] for weight in self.model.weights]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Copy the state."""
        self.state = device_copies(self._variables)
        self.weights = [self.state[place] for place in self._places]


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch on the device, and stops training without improvement.

    The weights go to disk with the backup and at the end: writing a checkpoint in every epoch
    would take longer than the epoch.

    Args:
        monitor: A column of the history; smaller is better.
        patience: Epochs without improvement after which training stops; None never stops.
        history: Its rows tell which epoch is the best, also when training resumes.
        last: Provides the weights after each epoch.
        weights: Weights of the best of those rows.
    """

    def __init__(
        self,
        monitor: str,
        patience: int | None,
        history: History,
        last: EpochState,
        weights: list | None,
    ) -> None:
        super().__init__()
        self.monitor, self.patience = monitor, patience
        self.history, self.last, self.weights = history, last, weights

    @property
    def epoch(self) -> int:
        """The best epoch, counted from 1; 0 before the first."""
        return best_epoch(self.history.rows, self.monitor)

    @property
    def exhausted(self) -> bool:
        """Whether `patience` epochs have passed without improvement."""
        return is_exhausted(self.history.rows, self.monitor, self.patience)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the weights if this epoch is the best so far."""
        if self.epoch == epoch + 1:
            self.weights = self.last.weights
        self.model.stop_training = self.exhausted


class ValidationStatistics(keras.callbacks.Callback):
    """Validates with the statistics that the training images have under the current weights.

    Afterwards the moving averages are what they were, so that training goes on undisturbed.

    Args:
        statistics: A context with these statistics, as of `StatisticsEstimator.estimated`.
    """

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.statistics = statistics
        self._validation = contextlib.ExitStack()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Estimate the statistics before a validation."""
        self._validation.enter_context(self.statistics())

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the moving averages back."""
        self._validation.close()


class BackupWriter(keras.callbacks.Callback):
    """Keeps the state after the last whole epoch, and writes it if it is time.

    So a training that is interrupted in the middle of an epoch can still write the epoch before.

    Args:
        path: The backup file.
        last: Provides the state after each epoch.
        best: Provides the best weights, which the backup holds beside the current ones.
        interval: Minimum time between two backups, in seconds.
        start: The backup on disk when training resumes.
        arguments: Stored in each backup, see `Backup`.
    """

    def __init__(
        self,
        path: Path,
        last: EpochState,
        best: BestWeights,
        interval: float,
        start: Backup | None,
        arguments: dict[str, Any],
    ) -> None:
        super().__init__()
        self.path, self.last, self.best, self.interval = path, last, best, interval
        self.arguments = arguments
        self.latest = start  # after the last whole epoch
        self.epoch = start.epoch if start else 0  # of the backup on disk
        self._last = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the state, and write it at most once per interval."""
        self.latest = Backup(epoch + 1, self.last.state, self.best.weights or [], self.arguments)
        if time.monotonic() - self._last >= self.interval:
            self.write()

    def write(self) -> None:
        """Write the last whole epoch, unless the backup on disk has it."""
        if self.latest and self.latest.epoch > self.epoch:
            self.latest.write(self.path)
            self.epoch = self.latest.epoch
            self._last = time.monotonic()


class Checkpoints(keras.callbacks.Callback):
    """Saves the model every few epochs, as ``epoch-0010.keras``, and scores it by option.

    The run is the same with and without checkpoints.

    Args:
        folder: Where to write.
        every: Number of epochs between two checkpoints.
        statistics: A context in which the model has the statistics of batch normalization that a
            finished model would have.
        score: Returns the validation mAP of the model, 0 to 1, for ``validation.csv``; None for no
            scores.
        done: Epochs already done when training resumes; scores of later ones are dropped.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        statistics: Statistics,
        score: Callable[[HashModel], float] | None,
        done: int,
    ) -> None:
        super().__init__()
        self.folder, self.every = folder, every
        self.statistics, self.score = statistics, score
        earlier = read_history(self.scores) if done else []
        self.rows = [row for row in earlier if row["epoch"] <= done]

    @property
    def scores(self) -> Path:
        """The file with the scores: epoch, mAP."""
        return self.folder / "validation.csv"

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save and score the model if it is time."""
        number = epoch + 1
        if number % self.every:
            return
        with self.statistics():
            save_model_file(self.model, self.folder / f"epoch-{number:04d}.keras")
            if self.score:
                self.rows.append({"epoch": number, "mAP": self.score(self.model)})
                write_history(self.scores, self.rows)


class Progress(keras.callbacks.Callback):
    """One progress bar for the whole training: images/s, time left, terms of the last epoch.

    Args:
        edges: Number of training images before each batch of an epoch, and in the epoch.
        epochs: Total number of epochs.
        done: Epochs already done when training resumes.
    """

    def __init__(self, edges: list[int], epochs: int, done: int) -> None:
        super().__init__()
        self.edges, self.images = edges, edges[-1]
        self.epochs, self.done = epochs, done

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Open the bar."""
        self.bar = progress(
            total=self.images * self.epochs,
            initial=self.images * self.done,
            unit="img",
            unit_scale=True,
            dynamic_ncols=True,
            mininterval=0.5,
        )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Show the number of the epoch."""
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Advance by one batch."""
        self.bar.update(self.edges[batch + 1] - self.edges[batch])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Show the loss terms of the epoch."""
        shown = {name: f"{float(value):.4g}" for name, value in sorted((logs or {}).items())}
        self.bar.set_postfix(shown, refresh=False)

    def close(self) -> None:
        """Close the bar, if training opened it."""
        if hasattr(self, "bar"):
            self.bar.close()


def tensorboard_callbacks(run: Path) -> list[keras.callbacks.Callback]:
    """Return the callbacks that write TensorBoard logs into the run directory.

    Raises:
        InputError: TensorBoard is not installed, or TensorFlow, which writes its files.
    """
    for package in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"training.tensorboard needs {package}; try: pip install 'facehash[tensorboard]'"
            )
    return [keras.callbacks.TensorBoard(log_dir=str(run / "tensorboard"))]
