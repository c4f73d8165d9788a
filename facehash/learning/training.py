"""Training a hashing network from a data set and a configuration to a finished run directory."""

import contextlib
import functools
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facehash.config import RunConfig, TrainingConfig
from facehash.dataset import FaceDataset
from facehash.errors import InputError, Interrupted
from facehash.figures.learning_curve import write_learning_curve
from facehash.files import write_json
from facehash.learning import augmentation
from facehash.learning.accelerator.steps import steps_per_call
from facehash.learning.backend import allow_tf32, enable_determinism
from facehash.learning.backup import Backup, restore
from facehash.learning.batches import ShuffledBatches
from facehash.learning.callbacks import (
    BackupWriter,
    BestWeights,
    Checkpoints,
    EpochState,
    History,
    Progress,
    Statistics,
    ValidationStatistics,
    tensorboard_callbacks,
)
from facehash.learning.devices import data_parallel, device_name
from facehash.learning.encoding import projection_scale, retrieval_map
from facehash.learning.hash_model import HashModel
from facehash.learning.initial_weights import freeze_layers, take_weights
from facehash.learning.model_files import load_model_file, save_model_file
from facehash.learning.preparation import TrainingData, draw_validation, prepare
from facehash.learning.statistics.estimate import StatisticsEstimator, draw_sample
from facehash.learning.statistics.inspection import inspect_training
from facehash.learning.statistics.norms import needs_two_images, uses_batch_norm
from facehash.learning.statistics.plan import layers_not_estimated
from facehash.printing import quoted
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.environment import describe_environment
from facehash.runs.files import apply_split, read_history, write_split
from facehash.runs.fingerprint import picture_hashes, record_pictures

log = logging.getLogger(__name__)

# Arguments of a model that do not follow from configuration and data if it has initial weights.
_ARGUMENTS = frozenset(
    {"pixel_mean", "pixel_std", "vector_mean", "training_images", "earlier_identities"}
)

_AUGMENTATION = "augmentation_version"  # stored in backups beside those arguments

ACCURACY_GAP = 0.05
"""A larger difference between the accuracies in training and in use causes a warning."""

# Of the names of identities; keywords are what `TrainingData.statistics` returns.
ModelBuilder = Callable[..., HashModel]


@dataclass(frozen=True)
class Outcome:
    """The result of a training."""

    model: HashModel  # with the weights of the best epoch
    epochs: int  # done in total
    best_epoch: int  # counted from 1


def train(
    config: RunConfig[Any],
    dataset: FaceDataset,
    run: RunDirectory,
    build: ModelBuilder,
    overwrite: bool = False,
    initial: Callable[[], HashModel] | None = None,
) -> Outcome:
    """Train a model, resume a training that was interrupted, or go on with a finished one.

    The order of batches depends only on seed and epoch, and a backup holds everything else that
    training changes, so an interrupted run ends with the same history as an uninterrupted one. So
    does a finished run that goes on, as its ``state.npz`` is a backup of its last epoch.

    Args:
        config: The checked configuration.
        dataset: Only its ``train`` role is used.
        run: Receives configuration, environment, split, history, backups and the model. Call
            this function inside ``run.begin``.
        build: Builds the untrained model from the names of the identities and, as keywords, the
            mean and standard deviation of the training pixels, or the mean of the vectors.
        overwrite: Delete an earlier run, once this one is ready to start.
        initial: Loads the model whose weights a new training starts from, see
            `facehash.learning.initial_weights`. None starts from random weights.

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
        reopened = run.finished and not overwrite
        backup = None if overwrite else _start(run, config, reopened)
        if backup:
            dataset = apply_split(run.split, dataset)
        validation = draw_validation(dataset.train, training.validation, config.seed)
        data = prepare(dataset, validation, devices)
        source = initial() if initial and not backup else None
        keras.utils.set_random_seed(config.seed)
        model = _build(build, dataset, data, backup, source)
        if source:
            log.info(take_weights(model, source, Path(str(training.initial_weights))))
            model.inherit(source)
        elif not backup:
            model.start_from(data.images, data.classes, config.seed)
        _freeze(model, training)
        done = backup.epoch if backup else 0
        batches = _batches(model, data, training, config.seed, done, devices)
        compile_model(model, training, batches.used)
        extra = tensorboard_callbacks(run.path) if training.tensorboard else []
        if backup:
            restore(model, backup, run.state if reopened else run.backup)
        if backup and reopened:
            backup = replace(backup, best=load_model_file(run.model).get_weights())
        history = History(run.history, read_history(run.history) if backup else [], done)
        last = EpochState()
        kept = backup and backup.best
        best = BestWeights(training.monitor, training.patience, history, last, kept)
        arguments = {name: getattr(model, name) for name in _ARGUMENTS}
        arguments[_AUGMENTATION] = augmentation.VERSION
        writer = BackupWriter(run.backup, last, best, training.backup_seconds, backup, arguments)
        estimator = StatisticsEstimator(model)
        statistics: Statistics = contextlib.nullcontext
        if training.reestimate_statistics:
            sample = data.images[draw_sample(len(data.images), config.seed)]
            statistics = functools.partial(estimator.estimated, sample)
            extra.append(ValidationStatistics(statistics))
        if training.checkpoint_every:
            extra.append(_checkpoints(run, training, data, statistics, done))

        # An earlier run is kept until everything that can fail has succeeded.
        if backup and reopened:
            backup.write(run.backup)
            run.reopen()
        run.prepare(config.to_yaml(), overwrite)
        write_split(run.split, dataset, validation)
        environment = describe_environment(keras.backend.backend(), device_name(), config.seed)
        write_json(run.environment, environment)
        try:
            if not best.exhausted:
                _fit(model, batches, data, training, [history, last, best, writer, *extra])
            # Not the copies themselves, which the backup may share: JAX would use their memory.
            model.set_weights([keras.ops.convert_to_numpy(one) for one in best.weights])
            write_json(run.training, _settle(estimator, data, training, config.seed))
            model.projection_scale = projection_scale(model, data.images, training.batch, devices)
            caption = f"{dataset.name}, {config.method.upper()}, {config.bits} bits"
            write_learning_curve(
                *(history.rows, run.learning_curve, caption),
                kept=best.epoch,
                checkpoints=read_history(run.checkpoints / "validation.csv"),
            )
            if writer.latest and _can_go_on(training, history):
                replace(writer.latest, best=[]).write(run.state)
            save_model_file(model, run.model)
            run.tidy()
        except KeyboardInterrupt as stop:
            raise _stopped(writer, training, run) from stop
    return Outcome(model, len(history.rows), best.epoch)


def _start(run: RunDirectory, config: RunConfig[Any], reopened: bool) -> Backup | None:
    """Read the state from which a run goes on, if there is one."""
    training = config.training
    backup = Backup.read(run.state if reopened else run.backup)
    if reopened and not backup:
        raise RunError(
            f"{run.path}: has no state.npz (versions before 0.2.0 did not write it), so more "
            "epochs cannot continue it exactly; choose another --name and start from its weights "
            f"with --set training.initial_weights={quoted(run.path)}"
        )
    augmented = any(config.augmentation.model_dump().values())
    if backup and augmented and backup.arguments.get(_AUGMENTATION, 1) != augmentation.VERSION:
        raise RunError(
            f"{run.path}: its {backup.epoch} epochs were trained by another version of facehash, "
            "which draws augmentation in another way, so they cannot be continued exactly; "
            "finish the run with that version, or choose another --name"
        )
    if backup and training.epochs < backup.epoch:
        raise RunError(
            f"{run.path}: has {backup.epoch} epochs already, more than training.epochs "
            f"{training.epochs}; choose another --name to train fewer"
        )
    return backup


def _can_go_on(training: TrainingConfig, history: History) -> bool:
    """Whether more epochs, or more patience, could continue a finished training."""
    return training.schedule == "constant" or len(history.rows) < training.epochs


def _build(
    build: ModelBuilder,
    dataset: FaceDataset,
    data: TrainingData,
    backup: Backup | None,
    source: HashModel | None,
) -> HashModel:
    """Build the untrained model, with the statistics of the input that its weights expect."""
    stored = backup.arguments if backup else {}
    # Of another shape: `take_weights` refuses the source once there is a model to compare.
    same = source is not None and source.item_shape == data.images.shape[1:]
    known: Any = source if same else data
    statistics = {name: stored.get(name, getattr(known, name)) for name in data.statistics}
    model = build(data.identities, **statistics)
    # With the validation images, as they choose the epoch.
    model.training_images = record_pictures(picture_hashes(dataset.items, dataset.train))
    for name in (_ARGUMENTS - data.statistics.keys()) & stored.keys():
        value = stored[name]
        setattr(model, name, tuple(value) if isinstance(value, list) else value)
    return model


def _freeze(model: HashModel, training: TrainingConfig) -> None:
    if not training.freeze:
        return
    names = freeze_layers(model, training.freeze)
    log.info(
        "frozen: %s (batch normalization among them uses its stored statistics)", ", ".join(names)
    )
    if training.initial_weights is None:
        log.warning("training.freeze without training.initial_weights keeps random weights")


def _checkpoints(
    run: RunDirectory,
    training: TrainingConfig,
    data: TrainingData,
    statistics: Statistics,
    done: int,
) -> Checkpoints:
    """Return the callback that saves checkpoints."""
    score = None
    if training.checkpoint_map:
        gallery = data.images, data.classes
        query = data.validation_images, data.validation_classes
        if not np.isin(query[1], gallery[1]).any():
            raise InputError(
                "training.checkpoint_map: no validation image shows a person of the other training "
                "images; a larger data set or another training.validation share is needed"
            )
        score = functools.partial(retrieval_map, gallery=gallery, query=query)
    every = int(training.checkpoint_every or 0)
    return Checkpoints(run.checkpoints, every, statistics, score, done)


def _batches(
    model: HashModel,
    data: TrainingData,
    training: TrainingConfig,
    seed: int,
    done: int,
    devices: int,
) -> ShuffledBatches:
    """Return the batches of the remaining epochs; none has one image where that teaches nothing."""
    smallest = 2 if needs_two_images(model) else 1
    if training.batch < smallest:
        raise InputError(
            "training.batch 1: batch normalization turns a single image into a constant; "
            "the smallest that works is 2"
        )
    images = data.images, data.classes
    steps = steps_per_call(data.images, training.batch, devices)
    batches = ShuffledBatches(*images, training.batch, seed, done, devices, smallest, steps)
    if batches.used < len(data.images) // devices * devices:
        log.warning(
            "each epoch omits one of %d images: batch normalization would turn a last batch of one "
            "image into a constant",
            len(data.images),
        )
    return batches


def _settle(
    estimator: StatisticsEstimator, data: TrainingData, training: TrainingConfig, seed: int
) -> dict[str, Any]:
    """Estimate the statistics of the kept weights, compare accuracies, and return the record."""
    model = estimator.model
    state = "moving" if uses_batch_norm(model) else "none"
    if state == "moving" and training.reestimate_statistics:
        if estimator.estimate(data.images):
            state = "reestimated"
        if names := layers_not_estimated(model):
            log.warning(
                "batch-norm layers that keep their moving averages, because they are called twice "
                "or are not part of a functional network: %s",
                ", ".join(names),
            )
    found = inspect_training(model, data.images, data.classes, training.batch, seed)
    if abs(found.training - found.inference) > ACCURACY_GAP:
        remedy = (
            "set training.reestimate_statistics=true"
            if state == "moving" and not training.reestimate_statistics
            else "a larger training.batch brings them closer"
        )
        log.warning(
            "accuracy on training images: %.3f with the statistics of a batch, as in training, "
            "but %.3f with those in the saved model; %s",
            *(found.training, found.inference, remedy),
        )
    if found.constant_bits:
        log.warning(
            "%d of %d bits are constant: all training images have the same value",
            *(found.constant_bits, model.bits),
        )
    accuracy = {
        "training": round(found.training, 4),
        "inference": round(found.inference, 4),
    }
    return {"batch_statistics": state, "accuracy": accuracy}


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
    allow_tf32()
    if training.jit is not True:
        enable_determinism()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a message of our own follows
        model.compile(optimizer=optimizer, jit_compile=training.jit)
    if training.jit is True and not model.jit_compile:
        log.warning("XLA cannot compile a layer of this network: training without XLA")
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
    progress = Progress(batches.edges, training.epochs, done)
    validation = (data.validation_images, data.validation_classes)
    resident = None if batches.together is None else data.images
    try:
        with model.kept_on_device(resident, training.batch):
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
