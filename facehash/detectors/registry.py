"""Detectors by name."""

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
    """Make a detector from its name and options.

    Args:
        specification: ``yunet`` or ``yunet,score=0.9``; ``haar``, ``haar,keep=largest`` or
            ``haar,keep=first``; or ``whole``, which takes every picture as one face.
        weights_dir: Folder searched first for weights.

    Returns:
        A detector that can be pickled; its network is loaded with the first photo.

    Raises:
        InputError: An unknown name or option, missing or damaged weights, or an OpenCV without
            cascades.

    Example:
        >>> make_detector("whole").detect(np.zeros((30, 40, 3), np.uint8))[0].box
        (0.0, 0.0, 40.0, 30.0)
    """
    name, texts = split_specification(specification)
    if name not in DETECTORS:
        raise InputError(f"detector {name!r} is unknown{did_you_mean(name, DETECTORS)}")
    options = convert_options(specification, texts, _OPTIONS[name])
    # Imported only when needed: OpenCV takes a while to load.
    if name == "yunet":
        from facehash.detectors.yunet import YuNet

        return YuNet(weights_dir=weights_dir, **options)
    if name == "haar":
        from facehash.detectors.haar import Haar

        return Haar(**options)
    from facehash.detectors.full_image import FullImage

    return FullImage()
