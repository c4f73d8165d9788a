"""Training data from a data set: images in memory, classes 0 to C-1, pixel statistics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError

_PIXELS_AT_A_TIME = 2**24
_VALIDATION_STREAM = 0x5A11D  # another random stream than that of the batches


@dataclass(frozen=True)
class TrainingData:
    """The training role of a data set, ready for a network."""

    images: NDArray[np.uint8]  # (n, side, side, 3)
    classes: NDArray[np.int32]  # (n,), 0 to len(identities) - 1
    validation_images: NDArray[np.uint8]  # (m, side, side, 3), m may be 0
    validation_classes: NDArray[np.int32]  # (m,)
    identities: tuple[str, ...]  # the name of each class
    pixel_mean: float  # of `images`
    pixel_std: float


def prepare(dataset: FaceDataset, validation: IndexArray, devices: int = 1) -> TrainingData:
    """Read the training images and number their identities from 0.

    Args:
        dataset: A checked data set.
        validation: int64 (m,), the part of ``dataset.train`` held out for validation.
        devices: Number of devices; validation images are dropped until it divides their number.

    Returns:
        The data in memory, 206 MB for the 67,177 faces of FaceScrub at 32 x 32.

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
        raise InputError(f"{dataset.name}: every training pixel is {mean:g}; expected photos")
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
    """Draw a validation split at random by image; its images stay in the gallery.

    Args:
        train: int64 (n,), indices of the training images.
        share: Share of them to draw, at least 0 and less than 1.
        seed: Seed of the draw.

    Returns:
        int64 (m,), sorted indices; at least one if `share` is above 0.

    Raises:
        InputError: No images would be left for training.
    """
    if share == 0:
        return np.empty(0, dtype=np.int64)
    count = max(1, round(share * len(train)))
    if count >= len(train):
        raise InputError(
            f"training.validation {share} of {len(train)} training images leaves none for training"
        )
    rng = np.random.default_rng([seed, _VALIDATION_STREAM])
    return np.sort(rng.choice(train, size=count, replace=False)).astype(np.int64)


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Compute the exact mean and standard deviation over all pixels and channels.

    Args:
        images: uint8, any shape, not empty.

    Returns:
        Mean and standard deviation, 0 to 255.
    """
    # Counting the 256 possible values needs no float copy of the images.
    blocks = np.array_split(images, -(-images.size // _PIXELS_AT_A_TIME))
    counts = sum(np.bincount(block.reshape(-1), minlength=256) for block in blocks)
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
