"""What training needs from a data set: images in memory, classes 0 to C-1, pixel statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError

_VALIDATION_STREAM = 0x5A11D  # keeps this draw apart from the order of batches


@dataclass(frozen=True)
class TrainingData:
    """The training role of a data set, ready for a network.

    Attributes:
        images: uint8 (n, side, side, 3).
        classes: int32 (n,), 0 to ``len(identities) - 1``.
        validation_images: uint8 (m, side, side, 3), m may be 0.
        validation_classes: int32 (m,).
        identities: Name of each class; only people in the training role have one.
        pixel_mean: Mean of all pixels of `images`.
        pixel_std: Their standard deviation.
    """

    images: NDArray[np.uint8]
    classes: NDArray[np.int32]
    validation_images: NDArray[np.uint8]
    validation_classes: NDArray[np.int32]
    identities: tuple[str, ...]
    pixel_mean: float
    pixel_std: float


def prepare(dataset: FaceDataset, validation: IndexArray, devices: int = 1) -> TrainingData:
    """Read the training images and number their people from 0.

    Args:
        dataset: A checked data set.
        validation: Indices, part of ``dataset.train``, that are not to be fitted.
        devices: The last validation images, fewer than this, that so many devices could not
            share evenly are left out.

    Returns:
        Images in memory: 206 MB for the 67,177 faces of FaceScrub at 32 x 32.

    Raises:
        InputError: All training pixels are equal, or there are fewer images than devices.
    """
    fitted = np.setdiff1d(dataset.train, validation)
    for role, rows in {"training": fitted, "validation": validation}.items():
        if 0 < len(rows) < devices:
            raise InputError(f"{devices} devices cannot share {len(rows)} {role} images")
    validation = validation[: len(validation) // devices * devices]
    people = np.unique(dataset.labels[dataset.train])
    images = dataset.read(fitted)
    mean, std = pixel_statistics(images)
    if std == 0:
        raise InputError(f"{dataset.name}: every training pixel is {mean:g}; these are no photos")
    return TrainingData(
        images=images,
        classes=np.searchsorted(people, dataset.labels[fitted]).astype(np.int32),
        validation_images=dataset.read(validation),
        validation_classes=np.searchsorted(people, dataset.labels[validation]).astype(np.int32),
        identities=tuple(dataset.identities[person] for person in people),
        pixel_mean=mean,
        pixel_std=std,
    )


def draw_validation(train: IndexArray, share: float, seed: int) -> IndexArray:
    """Draw a validation split at random by image; it stays in the gallery.

    Args:
        train: Indices of the training images.
        share: Of them, 0 to less than 1.
        seed: Of the draw.

    Returns:
        Sorted indices; at least one image when `share` is above 0, and never all.

    Raises:
        InputError: Too few images for both.
    """
    if share == 0:
        return np.empty(0, dtype=np.int64)
    count = max(1, round(share * len(train)))
    if count >= len(train):
        raise InputError(
            f"training.validation {share} of {len(train)} training images leaves none to fit"
        )
    rng = np.random.default_rng([seed, _VALIDATION_STREAM])
    return np.sort(rng.choice(train, size=count, replace=False)).astype(np.int64)


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation over all pixels and channels, exact.

    Args:
        images: uint8, any shape, not empty.

    Returns:
        Two scalars between 0 and 255.
    """
    # 256 counts hold all there is to know of uint8 pixels, without a float copy of the images.
    counts = (
        np.bincount(images.reshape(-1), minlength=256)
        if images.size < 2**24
        else sum(
            np.bincount(block.reshape(-1), minlength=256)
            for block in np.array_split(images, -(-images.size // 2**24))
        )
    )
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
