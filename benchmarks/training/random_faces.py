"""Random images to train on: the time of a step does not depend on what they show."""

from __future__ import annotations

from typing import Any

import numpy as np

from facehash import methods
from facehash.config import RunConfig, check_config
from facehash.dataset import FaceDataset

BITS = 48
PEOPLE = 530
"""As many as FaceScrub has."""


def configure(method: str, training: dict[str, Any]) -> RunConfig[Any]:
    """Configure a published network, for images that have no place on disk.

    Args:
        method: ``ddh`` or ``dcbh``.
        training: The configuration's section of that name.
    """
    tree = {"method": method, "bits": BITS, "dataset": {"name": "random"}, "training": training}
    return check_config(tree, methods.options_class, "benchmark")


def make_faces(images: int, people: int = PEOPLE) -> FaceDataset:
    """Draw images 32 x 32; each person has as many as the others, give or take one."""
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
