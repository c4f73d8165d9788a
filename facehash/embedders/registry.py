"""Embedders by name; Keras is imported only for those that need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from facehash.embedders.base import Embedder
from facehash.errors import InputError, did_you_mean
from facehash.images.alignment import Crop
from facehash.specification import (
    convert_options,
    one_of,
    split_specification,
    whole_number,
)

EMBEDDERS = ("sface", "dlib", "resnet50", "vgg16", "keras:FILE", "run:DIR")

_CROP = one_of(*get_args(Crop))
_METRIC = one_of("cosine", "euclidean")
_APPLICATION = {"pooling": one_of("avg", "max"), "metric": _METRIC, "crop": _CROP}
_NORMALIZATION = one_of("none", "unit", "symmetric", "per_image", "caffe", "torch")


def absolute(specification: str) -> str:
    """Return a specification in which the path of a model or run begins at the root.

    Args:
        specification: As `make_embedder` takes it, right or wrong.

    Returns:
        ``keras:/...`` or ``run:/...`` with its options; others as they are.
    """
    head, _ = split_specification(specification)
    kind, _, place = head.partition(":")
    if kind not in ("keras", "run") or not place:
        if not Path(head).is_dir() or head in EMBEDDERS:
            return specification
        kind, place = "run", head
    path = Path(place).expanduser().absolute()
    return f"{kind}:{path}{specification[len(head) :]}"


def make_embedder(specification: str = "sface", weights_dir: Path | None = None) -> Embedder:
    """Make an embedder.

    Args:
        specification: One of

            * ``sface``: 128 numbers, cosine; OpenCV;
            * ``dlib``: 128 numbers, Euclidean; with the extra ``dlib``;
            * ``resnet50``, ``vgg16``: 2048 and 512 numbers of a network trained on objects;
              options `pooling` (avg, max), `metric` (cosine, euclidean), `crop`;
            * ``keras:FILE``: any ``.keras`` model of one vector a face; options `size` (pixels),
              `normalization` (see `facehash.embedders.keras_model.NORMALIZATIONS`), `metric`,
              `crop`; for FaceNet ``keras:facenet.keras,size=160,normalization=per_image``;
            * ``run:DIR``: a run of this project, or the path of its directory alone: packed codes.
        weights_dir: Where pretrained weights are looked for first.

    Returns:
        The embedder, ready.

    Raises:
        InputError: Unknown, a wrong option, weights missing or damaged, a file that is no model.
    """
    head, texts = split_specification(specification)
    kind, colon, place = head.partition(":")

    def options(known: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
        return convert_options(specification, texts, known)

    if head == "sface":
        options({})
        from facehash.embedders.sface import SFace

        return SFace(weights_dir)
    if head == "dlib":
        options({})
        from facehash.embedders.dlib import DlibResNet

        return DlibResNet(weights_dir)
    if head in ("resnet50", "vgg16"):
        application = options(_APPLICATION)
        from facehash.embedders.keras_model import load_application

        return load_application(head, weights_dir, **application)
    if kind == "keras" and place:
        known = {"size": whole_number, "normalization": _NORMALIZATION}
        values = options({**known, "metric": _METRIC, "crop": _CROP})
        from facehash.embedders.keras_model import load_keras_embedder

        return load_keras_embedder(Path(place), side=values.pop("size", None), **values)
    if (kind == "run" and place) or (not colon and Path(head).is_dir()):
        options({})
        from facehash.embedders.run import load_run

        return load_run(Path(place or head))
    raise InputError(f"embedder {head!r} is unknown{did_you_mean(head, EMBEDDERS)}")
