"""Training a hashing network from a data set and a configuration to a finished run directory."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from facehash.config import RunConfig, TrainingConfig
from facehash.dataset import FaceDataset
from facehash.errors import Interrupted
from facehash.figures.learning_curve import write_learning_curve
from facehash.files import atomic_write, write_json
from facehash.learning.backend import enable_determinism
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
from facehash.runs.directory import RunDirectory
from facehash.runs.environment import describe_environment
from facehash.runs.files import apply_split, read_history, write_split
from facehash.runs.fingerprint import picture_hashes, record_pictures

log = logging.getLogger(__name__)

ModelBuilder = Callable[[Sequence[str], float, float], HashModel]


@dataclass(frozen=True)
class Outcome:
    """The result of a training."""

    model: HashModel  # with the weights of the best epoch
    epochs: int  # done in total
    best_epoch: int  # counted from 1
    backup_seconds: float  # that this process spent writing backups


def train(
    config: RunConfig[Any],
    dataset: FaceDataset,
    run: RunDirectory,
    build: ModelBuilder,
    overwrite: bool = False,
) -> Outcome:
    """Train a model, or resume a training that was interrupted.

    The order of batches depends only on seed and epoch, and a backup holds everything else that
    training changes, so an interrupted run ends with the same history as an uninterrupted one.

    Args:
        config: The checked configuration.
        dataset: Only its ``train`` role is used.
        run: Receives configuration, environment, split, history, backups and the model. Call
            this function inside ``run.begin``.
        build: Builds the untrained model from the names of the identities and the mean and
            standard deviation of the training pixels.
        overwrite: Delete an earlier run, once this one is ready to start.

    Returns:
        The model, with the weights of its best epoch.

    Raises:
        TrainingDiverged: A loss term became NaN or infinite.
        InputError: The devices are not available, or cannot share the images evenly.
        RunError: The backup is damaged, or belongs to another model or other data.
        Interrupted: Ctrl-C or SIGTERM; a backup of the last whole epoch is kept.
    """
    training = config.training
    with data_parallel(training.devices, training.batch) as devices:
        backup = None if overwrite else Backup.read(run.backup)
        if backup:
            dataset = apply_split(run.split, dataset)
        validation = draw_validation(dataset.train, training.validation, config.seed)
        data = prepare(dataset, validation, devices)
        keras.utils.set_random_seed(config.seed)
        model = build(data.identities, data.pixel_mean, data.pixel_std)
        # With the validation images, as they choose the epoch.
        model.training_images = record_pictures(picture_hashes(dataset.images, dataset.train))
        done = backup.epoch if backup else 0
        batches = ShuffledBatches(
            data.images, data.classes, training.batch, config.seed, done, devices
        )
        compile_model(model, training, batches.used)
        extra = tensorboard_callbacks(run.path) if training.tensorboard else []

        # An earlier run is kept until everything that can fail has succeeded.
        run.prepare(config.to_yaml(), overwrite)
        write_split(run.split, dataset, validation)
        environment = describe_environment(keras.backend.backend(), device_name(), config.seed)
        write_json(run.environment, environment)
        if backup:
            restore(model, backup, run.backup)
        history = History(run.history, read_history(run.history), done)
        best = BestWeights(training.monitor, training.patience, history, backup and backup.best)
        writer = BackupWriter(run.backup, best, training.backup_seconds, done)
        try:
            if not best.exhausted:
                _fit(model, batches, data, training, [history, best, writer, *extra])
            model.set_weights(best.weights)
            caption = f"{dataset.name}, {config.method.upper()}, {config.bits} bits"
            write_learning_curve(history.rows, run.learning_curve, caption, kept=best.epoch)
            with atomic_write(run.model) as temporary:
                model.save(temporary)
            run.tidy()
        except KeyboardInterrupt as stop:
            raise _stopped(writer, training, run) from stop
    return Outcome(model, len(history.rows), best.epoch, writer.seconds)


def compile_model(model: HashModel, training: TrainingConfig, images: int) -> None:
    """Compile a model with the configured optimizer and learning rate.

    Unless it is compiled with XLA, the same seed then gives the same weights.

    Args:
        model: A built model; also gets the variables of the optimizer.
        training: The ``training:`` section of the configuration.
        images: Training images per epoch, which decide the length of a schedule.
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
        warnings.simplefilter("ignore")  # a message of our own follows
        model.compile(optimizer=optimizer, jit_compile=training.jit)
    if training.jit is True and not model.jit_compile:
        log.warning("XLA cannot compile these layers (such as shift): training without XLA")
        enable_determinism()
    model.optimizer.build(model.trainable_variables)


def _fit(
    model: HashModel,
    batches: ShuffledBatches,
    data: TrainingData,
    training: TrainingConfig,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Run the remaining epochs."""
    done = batches.epoch
    progress = Progress(batches.used, training.batch, training.epochs, done)
    validation = (data.validation_images, data.validation_classes)
    try:
        model.fit(
            batches,
            epochs=training.epochs,
            initial_epoch=done,
            validation_data=validation if len(data.validation_images) else None,
            validation_batch_size=training.batch,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[*callbacks, progress],
        )
    finally:
        progress.close()


def _stopped(writer: BackupWriter, training: TrainingConfig, run: RunDirectory) -> Interrupted:
    """Back up the last whole epoch, and say so."""
    writer.write()
    if not writer.epoch:
        return Interrupted(f"interrupted in the first epoch of {run.path}", ["--overwrite"])
    return Interrupted(
        f"interrupted after {writer.epoch} of {training.epochs} epochs, which are kept in "
        f"{run.path}",
        ["--overwrite"],
    )
