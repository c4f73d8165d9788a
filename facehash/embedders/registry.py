"""Embedders by name. Keras is imported only for those that need it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from facehash.embedders.base import Embedder
from facehash.errors import InputError, did_you_mean
from facehash.images.alignment import Crop
from facehash.specification import convert_options, one_of, split_specification, whole_number

EMBEDDERS = ("sface", "dlib", "resnet50", "vgg16", "keras:FILE", "run:DIR")

_CROP = one_of(*get_args(Crop))
_METRIC = one_of("cosine", "euclidean")
_APPLICATION = {"pooling": one_of("avg", "max"), "metric": _METRIC, "crop": _CROP}
_NORMALIZATION = one_of("none", "unit", "symmetric", "per_image", "caffe", "torch")


def absolute(specification: str) -> str:
    """Make the path of a model or run in a specification absolute.

    Args:
        specification: As `make_embedder` takes it, valid or not.

    Returns:
        ``keras:/...`` or ``run:/...`` with its options; anything else unchanged.
    """
    head, _ = split_specification(specification)
    kind, _, path = head.partition(":")
    if kind not in ("keras", "run") or not path:
        if not Path(head).is_dir() or head in EMBEDDERS:
            return specification
        kind, path = "run", head
    absolute_path = Path(path).expanduser().absolute()
    return f"{kind}:{absolute_path}{specification[len(head) :]}"


def make_embedder(specification: str = "sface", weights_dir: Path | None = None) -> Embedder:
    """Make an embedder from its name and options.

    Args:
        specification: One of

            * ``sface``: 128 dimensions, cosine; runs on OpenCV or OpenVINO;
            * ``dlib``: 128 dimensions, Euclidean; needs the extra ``dlib``;
            * ``resnet50``, ``vgg16``: 2048 and 512 dimensions, trained on ImageNet; options
              `pooling` (avg, max), `metric` (cosine, euclidean) and `crop`;
            * ``keras:FILE``: any ``.keras`` model that returns one vector per face; options `size`
              (pixels), `normalization` (see `facehash.embedders.keras_model.NORMALIZATIONS`),
              `metric`, `crop`. FaceNet: ``keras:facenet.keras,size=160,normalization=per_image``;
            * ``run:DIR``: a run of this project, or just the path of its directory: packed codes.
        weights_dir: Folder searched first for pretrained weights.

    Returns:
        The embedder, ready for use.

    Raises:
        InputError: An unknown name or option, missing or damaged weights, or a file that is not a
            model.

    Example:
        >>> embedder = make_embedder("sface")  # doctest: +SKIP
        >>> embedder.metric, embedder.dimension  # doctest: +SKIP
        ('cosine', 128)
    """
    head, texts = split_specification(specification)
    kind, colon, path = head.partition(":")

    def options(known: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
        return convert_options(specification, texts, known)

    # Each module is imported only when needed: most of them take a while to load.
    embedder: Embedder
    if head == "sface":
        options({})
        from facehash.embedders.sface import SFace

        embedder = SFace(weights_dir)
    elif head == "dlib":
        options({})
        from facehash.embedders.dlib import DlibResNet

        embedder = DlibResNet(weights_dir)
    elif head in ("resnet50", "vgg16"):
        application = options(_APPLICATION)
        from facehash.embedders.keras_model import load_application

        embedder = load_application(head, weights_dir, **application)
    elif kind == "keras" and path:
        known = {"size": whole_number, "normalization": _NORMALIZATION}
        values = options({**known, "metric": _METRIC, "crop": _CROP})
        from facehash.embedders.keras_model import load_keras_embedder

        embedder = load_keras_embedder(Path(path), side=values.pop("size", None), **values)
    elif (kind == "run" and path) or (not colon and Path(head).is_dir()):
        options({})
        from facehash.embedders.run import load_run

        embedder = load_run(Path(path or head))
    else:
        raise InputError(f"embedder {head!r} is unknown{did_you_mean(head, EMBEDDERS)}")
    return embedder
