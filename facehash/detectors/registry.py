"""Detectors by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from facehash.detectors.base import Detector
from facehash.errors import InputError, did_you_mean
from facehash.specification import convert_options, number, one_of, split_specification

DETECTORS = ("yunet", "haar", "whole")

Switch = Literal["auto", "off"]
"""Values of an option that can be turned off."""

_OPTIONS: dict[str, dict[str, Callable[[str], Any]]] = {
    "yunet": {"score": number, "tiles": one_of("auto", "off"), "turns": one_of("auto", "off")},
    "haar": {"keep": one_of("all", "first", "largest")},
    "whole": {},
}


def make_detector(specification: str = "yunet", weights_dir: Path | None = None) -> Detector:
    """Make a detector from its name and options.

    Args:
        specification: ``yunet``, with the options `score`, `tiles` and `turns` of
            `facehash.detectors.yunet.YuNet`, for example ``yunet,score=0.9``; ``haar``,
            ``haar,keep=largest`` or ``haar,keep=first``; or ``whole``, which takes every picture
            as one face.
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


def has_option(specification: str, option: str) -> bool:
    """Return whether a detector has an option, given or not."""
    return option in _OPTIONS.get(split_specification(specification)[0], {})


def with_options(specification: str, **options: str) -> str:
    """Set options of a detector; other options stay, and ``auto``, the default, is not spelled out.

    Raises:
        InputError: The detector has no such option.

    Example:
        >>> with_options("yunet,score=0.9", tiles="off")
        'yunet,score=0.9,tiles=off'
        >>> with_options("yunet,tiles=off", tiles="auto")
        'yunet'
    """
    name, texts = split_specification(specification)
    for key in options:
        if not has_option(name, key):
            what = "small faces" if key == "tiles" else f"option {key!r}"
            raise InputError(f"the detector {name!r} has no setting for {what}; yunet has one")
    kept = {key: value for key, value in {**texts, **options}.items() if value != "auto"}
    return ",".join([name, *(f"{key}={value}" for key, value in kept.items())])


def choose_detector(
    given: str | None, stored: str | None = None, small_faces: Switch | None = None
) -> str:
    """Return the detector of a run of ``facehash index``.

    A library keeps its detector, of which the name alone is enough: ``yunet`` means that of the
    library, also where it was made by facehash 0.2.0 or earlier, without `tiles` and `turns`.

    Args:
        given: The detector that the user names, if any.
        stored: That of the library, if there is one.
        small_faces: The option `tiles`, if the user gives it.

    Raises:
        InputError: The library, or the detector, searches for small faces in another way.

    Example:
        >>> choose_detector(None), choose_detector("yunet", "yunet,tiles=off,turns=off")
        ('yunet', 'yunet,tiles=off,turns=off')
        >>> choose_detector(None, small_faces="off")
        'yunet,tiles=off'
    """
    chosen = given or stored or "yunet"
    if given and stored:
        (name, texts), (old, known) = map(split_specification, (given, stored))
        taken = {key: known[key] for key in ("tiles", "turns") if key in known and key not in texts}
        chosen = with_options(given, **taken) if name == old and taken else given
    if small_faces is None:
        return chosen
    wanted = with_options(chosen, tiles=small_faces)
    # The options may have been spelled in another way.
    if stored and wanted != with_options(chosen):
        made = "off" if small_faces == "auto" else "auto"
        raise InputError(
            f"--small-faces {small_faces}: the library was made with {made}, and its photos are "
            "not read again; omit the option, or choose another --library"
        )
    return wanted


def earlier_name(specification: str, identity: str) -> str:
    """Return the name of a detector with the options that its stored identity lacks turned off.

    Args:
        specification: As stored in a library.
        identity: The identity stored with it; those of facehash 0.2.0 have neither option.

    Example:
        >>> earlier_name("yunet", "yunet:score=0.7,scales=320+1280,sha256=8f23")
        'yunet,tiles=off,turns=off'
    """
    if not identity.startswith("yunet:"):
        return specification
    missing = {key: "off" for key in ("tiles", "turns") if f",{key}=" not in identity}
    return with_options(specification, **missing) if missing else specification
