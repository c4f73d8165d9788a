"""Accuracy and constant bits of a trained network on its training images."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from facehash.codes import sign
from facehash.learning.backend import compiled, without_gradients
from facehash.learning.statistics.estimate import (
    LARGEST_SAMPLE,
    shuffled,
    standardized,
    unchanged,
)


@dataclass(frozen=True)
class TrainedState:
    """What the trained network does with a sample of its training images."""

    training: float  # accuracy with the statistics of batches, 0 to 1
    inference: float  # accuracy with the statistics of the model, 0 to 1
    constant_bits: int  # bits that are equal in the codes of all these images


def inspect_training(
    model: Any, images: NDArray[np.uint8], classes: NDArray[np.integer], batch: int, seed: int
) -> TrainedState:
    """Compare the network in training mode and in use, on at most 2,048 images, not augmented.

    Nothing in the model changes.

    Args:
        model: A trained model.
        images: uint8 (n, side, side, 3), the training images, n >= 1.
        classes: int (n,), their classes.
        batch: Images per training step; the sample is cut to whole batches.
        seed: Seed of the run, which draws the sample.
    """
    size = min(batch, len(images), LARGEST_SAMPLE)
    rows = shuffled(len(images), seed)[: LARGEST_SAMPLE // size * size]
    rows = rows[: len(rows) // size * size].reshape(-1, size)
    found: dict[bool, list[NDArray[Any]]] = {True: [], False: []}
    codes = []
    network = model.network
    for training in (True, False):
        forward = compiled(functools.partial(_outputs, model, training), network.variables)
        with without_gradients(), unchanged(network.non_trainable_variables):
            for step in rows:
                relaxed, guessed = map(ops.convert_to_numpy, forward(images[step]))
                found[training].append(guessed == classes[step])
                if not training:
                    codes.append(sign(relaxed))
    signs = np.concatenate(codes)
    return TrainedState(
        training=float(np.mean(found[True])),
        inference=float(np.mean(found[False])),
        constant_bits=int((signs == signs[:1]).all(axis=0).sum()),
    )


def _outputs(model: Any, training: bool, images: Any) -> tuple[Any, Any]:
    """Return relaxed codes and the classes with the largest logits."""
    outputs = model.network(standardized(model, images), training=training)
    return ops.cast(outputs["relaxed"], "float32"), ops.argmax(outputs["logits"], axis=-1)
