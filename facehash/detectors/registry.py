"""Detectors by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from facehash.detectors.base import Detector
from facehash.errors import InputError, did_you_mean
from facehash.specification import convert_options, number, one_of, split_specification

DETECTORS = ("yunet", "haar", "whole")

_OPTIONS: dict[str, dict[str, Callable[[str], Any]]] = {
    "yunet": {"score": number},
    "haar": {"keep": one_of("all", "first", "largest")},
    "whole": {},
}


def make_detector(specification: str = "yunet", weights_dir: Path | None = None) -> Detector:
    """Make a detector; cheap, so that every worker process can make its own.

    Args:
        specification: ``yunet`` or ``yunet,score=0.9``; ``haar`` or ``haar,keep=largest`` or
            ``haar,keep=first``; ``whole``, which takes every picture as one face.
        weights_dir: Where weights are looked for first.

    Returns:
        A detector that may be pickled.

    Raises:
        InputError: Unknown, a wrong option, missing or damaged weights, an OpenCV without
            cascades.
    """
    name, texts = split_specification(specification)
    if name not in DETECTORS:
        raise InputError(f"detector {name!r} is unknown{did_you_mean(name, DETECTORS)}")
    options = convert_options(specification, texts, _OPTIONS[name])
    # Imported when asked for: OpenCV takes a moment to load.
    if name == "yunet":
        from facehash.detectors.yunet import YuNet

        return YuNet(weights_dir=weights_dir, **options)
    if name == "haar":
        from facehash.detectors.haar import Haar

        return Haar(**options)
    from facehash.detectors.full_image import FullImage

    return FullImage()
