"""Training data from a data set: images or vectors, classes 0 to C-1, statistics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError

_PIXELS_AT_A_TIME = 2**24
_VALIDATION_STREAM = 0x5A11D  # another random stream than that of the batches


@dataclass(frozen=True)
class TrainingData:
    """The training role of a data set, ready for a network."""

    images: NDArray[Any]  # uint8 (n, side, side, 3), or vectors float32 (n, d)
    classes: NDArray[np.int32]  # (n,), 0 to len(identities) - 1
    validation_images: NDArray[Any]  # the same of the validation split, m rows; m may be 0
    validation_classes: NDArray[np.int32]  # (m,)
    identities: tuple[str, ...]  # the name of each class
    pixel_mean: float | None = None  # of `images`; None for vectors
    pixel_std: float | None = None
    vector_mean: list[float] | None = None  # (d,), of vectors; None for images

    @property
    def statistics(self) -> dict[str, Any]:
        """What the model standardizes its input by, as arguments of its constructor."""
        if self.vector_mean is not None:
            return {"vector_mean": self.vector_mean}
        return {"pixel_mean": self.pixel_mean, "pixel_std": self.pixel_std}


def prepare(dataset: FaceDataset, validation: IndexArray, devices: int = 1) -> TrainingData:
    """Read the training images and number their identities from 0.

    Args:
        dataset: A checked data set.
        validation: int64 (m,), the part of ``dataset.train`` held out for validation.
        devices: Number of devices; validation images are dropped until it divides their number.

    Returns:
        The data in memory, 206 MB for the 67,177 faces of FaceScrub at 32 x 32.

    Raises:
        InputError: All training pixels, or vectors, are equal; or there are fewer images than
            devices.
    """
    fitted = np.setdiff1d(dataset.train, validation)
    for role, rows in {"training": fitted, "validation": validation}.items():
        if 0 < len(rows) < devices:
            raise InputError(f"{devices} devices cannot share {len(rows)} {role} images")
    validation = validation[: len(validation) // devices * devices]
    people = np.unique(dataset.labels[dataset.train])
    if len(np.unique(dataset.labels[fitted])) < 2:
        raise InputError(
            f"{dataset.name}: without the {len(validation)} validation images, the training images "
            "show one person, and a network learns by telling people apart; lower "
            "training.validation"
        )
    images = dataset.read(fitted)
    return TrainingData(
        images=images,
        classes=np.searchsorted(people, dataset.labels[fitted]).astype(np.int32),
        validation_images=dataset.read(validation),
        validation_classes=np.searchsorted(people, dataset.labels[validation]).astype(np.int32),
        identities=tuple(dataset.identities[person] for person in people),
        **_statistics(dataset, images),
    )


def _statistics(dataset: FaceDataset, images: NDArray[Any]) -> dict[str, Any]:
    """Return what a model standardizes by: statistics of pixels, or the mean of vectors."""
    if dataset.vectors is not None:
        if (images == images[0]).all():
            raise InputError(f"{dataset.name}: all training vectors are equal")
        return {"vector_mean": images.mean(axis=0, dtype=np.float64).tolist()}
    mean, std = pixel_statistics(images)
    if std == 0:
        raise InputError(f"{dataset.name}: every training pixel is {mean:g}; expected photos")
    return {"pixel_mean": mean, "pixel_std": std}


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
