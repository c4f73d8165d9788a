"""Training a hashing network: from a data set and a configuration to a finished run directory."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from facehash.command_line import Interrupted
from facehash.config import RunConfig, TrainingConfig
from facehash.dataset import FaceDataset
from facehash.environment import describe_environment
from facehash.files import holding, replacing, write_json
from facehash.learning.backend import device_name, make_deterministic
from facehash.learning.backup import Backup, restore
from facehash.learning.batches import ShuffledBatches
from facehash.learning.callbacks import (
    BackupWriter,
    BestWeights,
    History,
    Progress,
    tensorboard_callbacks,
)
from facehash.learning.hash_model import HashModel
from facehash.learning.preparation import TrainingData, draw_validation, prepare
from facehash.runs import RunDirectory, read_history

ModelBuilder = Callable[[Sequence[str], float, float], HashModel]


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        model: The model with the weights of the best epoch.
        epochs: Epochs done in all.
        best_epoch: The selected one, counted from 1.
        backup_seconds: Time spent writing backups, in this process.
    """

    model: HashModel
    epochs: int
    best_epoch: int
    backup_seconds: float


def train(
    config: RunConfig[Any], dataset: FaceDataset, run: RunDirectory, build: ModelBuilder
) -> Outcome:
    """Train a model, or go on with a training that was interrupted.

    The order of batches follows from seed and epoch, and a backup holds everything else that
    training changes; so an interrupted run ends with the history of an unbroken one.

    Args:
        config: The checked configuration; `run` has already taken it up.
        dataset: Its ``train`` role is trained on; nothing else is looked at.
        run: Receives environment, split, history, backups and the model.
        build: Makes the untrained model from the identities' names, and the mean and deviation
            of the training pixels.

    Returns:
        The model and how it was reached.

    Raises:
        TrainingDiverged: The loss is no longer a number.
        RunError: The backup is damaged, of another model, or of other data.
        FileInUseError: Another process trains in this run directory.
        Interrupted: Ctrl-C; what was backed up is kept.
    """
    run.backup.parent.mkdir(parents=True, exist_ok=True)
    with holding(run.backup.with_name("lock")):
        return _train(config, dataset, run, build)


def _train(
    config: RunConfig[Any], dataset: FaceDataset, run: RunDirectory, build: ModelBuilder
) -> Outcome:
    """Train, in a run directory that no other process works in."""
    make_deterministic(config.seed, compiled=config.training.jit is True)
    backup = Backup.read(run.backup)
    if backup:
        dataset = run.apply_split(dataset)
    validation = draw_validation(dataset.train, config.training.validation, config.seed)
    run.write_split(dataset, validation)
    environment = describe_environment(keras.backend.backend(), device_name(), config.seed)
    write_json(run.environment, environment)

    data = prepare(dataset, validation)
    with _dtype_policy(config.training.precision):
        model = build(data.identities, data.pixel_mean, data.pixel_std)
        compile_model(model, config.training, len(data.images))
    outcome = _fit(model, data, config, run, backup)
    with replacing(run.model) as temporary:
        model.save(temporary)
    shutil.rmtree(run.backup.parent, ignore_errors=True)
    return outcome


def compile_model(model: HashModel, training: TrainingConfig, images: int) -> None:
    """Give a model its optimizer and learning rate.

    Args:
        model: Built; compiled in place, with the optimizer's variables made.
        training: The configuration's section.
        images: Training images an epoch, which with the batch decide the length of a schedule.
    """
    steps = -(-images // training.batch) * training.epochs
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, decay_steps=steps)
    if training.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer=optimizer, jit_compile=training.jit)
    model.optimizer.build(model.trainable_variables)


def _fit(
    model: HashModel,
    data: TrainingData,
    config: RunConfig[Any],
    run: RunDirectory,
    backup: Backup | None,
) -> Outcome:
    """Run the epochs that are left, and leave the model with its best weights."""
    training = config.training
    done = backup.epoch if backup else 0
    if backup:
        restore(model, backup, run.backup)
    history = History(run.history, read_history(run.history), done)
    best = BestWeights(training.monitor, training.patience, history, backup and backup.best)
    writer = BackupWriter(run.backup, best, training.backup_seconds)
    progress = Progress(len(data.images), training.batch, training.epochs, done)
    extra = tensorboard_callbacks(run.path) if training.tensorboard else []
    validation = (data.validation_images, data.validation_classes)
    try:
        if not best.exhausted:
            model.fit(
                ShuffledBatches(data.images, data.classes, training.batch, config.seed, done),
                epochs=training.epochs,
                initial_epoch=done,
                validation_data=validation if len(data.validation_images) else None,
                validation_batch_size=training.batch,
                shuffle=False,  # the batches come shuffled
                verbose=0,
                callbacks=[history, best, writer, progress, *extra],
            )
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"interrupted after {len(history.rows)} of {training.epochs} epochs, "
            f"{writer.epoch or done} of them backed up in {run.path}; "
            "the same command goes on from there"
        ) from stop
    finally:
        progress.close()
    model.set_weights(best.weights)
    return Outcome(model, len(history.rows), best.epoch, writer.seconds)


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Make layers with a dtype policy, without leaving it behind for other models."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
