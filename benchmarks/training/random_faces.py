"""Random images for timing: the time of a training step does not depend on their content."""

from typing import Any

import numpy as np

from facehash import methods
from facehash.config import RunConfig, check_config
from facehash.dataset import FaceDataset

BITS = 48
PEOPLE = 530  # as in FaceScrub
AUGMENTATION = {"flip": True, "shift": 2}  # as in the configurations of PubFig83


def configure(
    method: str, training: dict[str, Any], augmentation: dict[str, Any] | None = None
) -> RunConfig[Any]:
    """Return the configuration of a published network, given its sections of these names."""
    tree = {"method": method, "bits": BITS, "dataset": {"name": "random"}, "training": training}
    tree["augmentation"] = augmentation or {}
    return check_config(tree, methods.options_class, "benchmark")


def make_faces(images: int, people: int = PEOPLE) -> FaceDataset:
    """Return random images of 32 x 32 pixels, divided evenly among people."""
    rng = np.random.default_rng(20171)
    rows = np.arange(images)
    return FaceDataset(
        name="random",
        images=rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8),
        labels=rows % people,
        identities=tuple(str(person) for person in range(people)),
        train=rows,
        gallery=rows,
        query=rows,
        protocol="seen",
    )
