"""Training a hashing network: from a data set and a configuration to a finished run directory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from facehash.config import RunConfig, TrainingConfig
from facehash.dataset import FaceDataset
from facehash.errors import Interrupted
from facehash.files import atomic_write, write_json
from facehash.learning.backend import enable_determinism, set_seed
from facehash.learning.backup import Backup, restore
from facehash.learning.batches import ShuffledBatches
from facehash.learning.callbacks import (
    BackupWriter,
    BestWeights,
    History,
    Progress,
    tensorboard_callbacks,
)
from facehash.learning.devices import data_parallel, device_name
from facehash.learning.hash_model import HashModel
from facehash.learning.preparation import TrainingData, draw_validation, prepare
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.environment import describe_environment
from facehash.runs.files import apply_split, read_history, write_split

log = logging.getLogger(__name__)

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
    config: RunConfig[Any],
    dataset: FaceDataset,
    run: RunDirectory,
    build: ModelBuilder,
    overwrite: bool = False,
) -> Outcome:
    """Train a model, or go on with a training that was interrupted.

    The order of batches follows from seed and epoch, and a backup holds everything else that
    training changes; so an interrupted run ends with the history of an unbroken one.

    Args:
        config: The checked configuration.
        dataset: Its ``train`` role is trained on; nothing else is looked at.
        run: Receives configuration, environment, split, history, backups and the model.
        build: Makes the untrained model from the identities' names, and the mean and deviation
            of the training pixels.
        overwrite: Delete what an earlier run left in `run`, once this one is ready to begin.

    Returns:
        The model and how it was reached.

    Raises:
        TrainingDiverged: The loss is no longer a number.
        InputError: The devices asked for cannot be had, or cannot share the images.
        RunError: The run is finished, or has another configuration, or its backup is damaged, of
            another model, or of other data.
        FileInUseError: Another process trains in this run directory.
        Interrupted: Ctrl-C; what was backed up is kept.
    """
    training = config.training
    with run.held(), data_parallel(training.devices, training.batch) as devices:
        run.check(config.to_yaml(), overwrite)
        if run.finished and not overwrite:
            raise RunError(f"{run.path}: another process has just finished this run")
        backup = None if overwrite else Backup.read(run.backup)
        if backup:
            dataset = apply_split(run.split, dataset)
        validation = draw_validation(dataset.train, training.validation, config.seed)
        data = prepare(dataset, validation, devices)
        set_seed(config.seed)
        model = build(data.identities, data.pixel_mean, data.pixel_std)
        done = backup.epoch if backup else 0
        batches = ShuffledBatches(
            data.images, data.classes, training.batch, config.seed, done, devices
        )
        compile_model(model, training, batches.used)
        extra = tensorboard_callbacks(run.path) if training.tensorboard else []

        # Nothing of an earlier run is touched before everything that can fail has been tried.
        run.begin(config.to_yaml(), overwrite)
        write_split(run.split, dataset, validation)
        environment = describe_environment(keras.backend.backend(), device_name(), config.seed)
        write_json(run.environment, environment)
        outcome = _fit(model, batches, data, training, run, backup, extra)
        with atomic_write(run.model) as temporary:
            model.save(temporary)
        run.tidy()
    return outcome


def compile_model(model: HashModel, training: TrainingConfig, images: int) -> None:
    """Give a model its optimizer and learning rate.

    Args:
        model: Built; compiled in place, with the optimizer's variables made.
        training: The configuration's section.
        images: Training images an epoch, which with the batch decide the length of a schedule.

    The same seed gives the same weights from here on, except where XLA was asked for and is had.
    """
    steps = -(-images // training.batch) * training.epochs
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, decay_steps=steps)
    if training.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if training.jit is not True:
        enable_determinism()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our own words follow
        model.compile(optimizer=optimizer, jit_compile=training.jit)
    if training.jit is True and not model.jit_compile:
        log.warning("XLA cannot compile these layers (shift is one of them): training without it")
        enable_determinism()
    model.optimizer.build(model.trainable_variables)


def _fit(
    model: HashModel,
    batches: ShuffledBatches,
    data: TrainingData,
    training: TrainingConfig,
    run: RunDirectory,
    backup: Backup | None,
    extra: list[keras.callbacks.Callback],
) -> Outcome:
    """Run the epochs that are left, and leave the model with its best weights."""
    done = backup.epoch if backup else 0
    if backup:
        restore(model, backup, run.backup)
    history = History(run.history, read_history(run.history), done)
    best = BestWeights(training.monitor, training.patience, history, backup and backup.best)
    writer = BackupWriter(run.backup, best, training.backup_seconds)
    progress = Progress(batches.used, training.batch, training.epochs, done)
    validation = (data.validation_images, data.validation_classes)
    try:
        if not best.exhausted:
            model.fit(
                batches,
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
