"""Embedders that are Keras models: a file, or ResNet-50 and VGG-16 of keras.applications."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash import methods
from facehash.embedders.base import check_faces
from facehash.errors import InputError
from facehash.images.alignment import Crop
from facehash.learning.backend import start_any_backend
from facehash.vectors import Metric, check_finite, unit_rows
from facehash.weights.files import find_weights

_BATCH = 32
_APPLICATION_SIDE = 224
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


def _per_image(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = pixels.mean(axis=(1, 2, 3), keepdims=True)
    # As TensorFlow's per_image_standardization: an even picture is not blown up.
    least = pixels[0].size ** -0.5
    return (pixels - mean) / np.maximum(pixels.std(axis=(1, 2, 3), keepdims=True), least)


NORMALIZATIONS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "none": lambda pixels: pixels,
    "unit": lambda pixels: pixels / 255,
    "symmetric": lambda pixels: pixels / 127.5 - 1,
    "per_image": _per_image,
    "caffe": lambda pixels: pixels[..., ::-1] - _CAFFE_MEAN,
    "torch": lambda pixels: (pixels / 255 - _IMAGENET_MEAN) / _IMAGENET_STD,
}
"""What is done to float32 (n, side, side, 3) RGB pixels 0 to 255 before a network sees them.

``none``, for a model that does it itself; ``unit``: 0 to 1; ``symmetric``: -1 to 1; ``per_image``:
each image by its own mean and deviation; ``caffe``: BGR minus ImageNet's mean; ``torch``: 0 to 1,
then by ImageNet's mean and deviation.
"""


class KerasModel:
    """Embeds faces by a Keras model that makes one vector of each.

    Args:
        model: A `keras.Model` with one input (batch, side, side, 3).
        name: What it is called in the identity and in errors.
        sha256: Digest of the file with its weights.
        side: Height and width in pixels; None takes the model's own, if it has one.
        normalization: A key of `NORMALIZATIONS`.
        metric: ``cosine`` scales the rows to length 1; ``euclidean`` leaves them as they are.
        crop: How faces are to be cropped.

    Raises:
        InputError: The model takes or makes something else.
    """

    light = False

    def __init__(
        self,
        model: Any,
        name: str,
        sha256: str,
        side: int | None = None,
        normalization: str = "none",
        metric: Metric = "cosine",
        crop: Crop = "box",
    ) -> None:
        self._model = model
        self._name = name
        self._sha256 = sha256
        self.normalization = normalization
        self.metric: Metric = metric
        self.crop: Crop = crop
        self.side = _input_side(model, name, side)
        self.dimension = _output_dimension(model, name, self.side)
        # Older files have their one input in a list, and Keras warns if it is not given so.
        self._listed = isinstance(getattr(model, "input", None), list)

    @property
    def identity(self) -> str:
        """Name, size, normalization, metric, crop, and the SHA-256 of the weights."""
        return (
            f"{self._name}:size={self.side},normalization={self.normalization},"
            f"metric={self.metric},crop={self.crop},sha256={self._sha256}"
        )

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed uint8 (n, side, side, 3) RGB faces as float32 (n, dimension).

        Raises:
            ValueError: Another shape or dtype.
            InputError: The network returned NaN.
        """
        check_faces(faces, self.side)
        vectors = np.empty((len(faces), self.dimension), np.float32)
        normalize = NORMALIZATIONS[self.normalization]
        for first in range(0, len(faces), _BATCH):
            pixels = normalize(faces[first : first + _BATCH].astype(np.float32))
            batch = _filled_up(pixels)
            rows = _only(self._model.predict_on_batch([batch] if self._listed else batch))
            vectors[first : first + _BATCH] = rows[: len(pixels)]
        check_finite(vectors, self._name)
        return unit_rows(vectors) if self.metric == "cosine" else vectors


def load_keras_embedder(path: Path, **options: Any) -> KerasModel:
    """Make an embedder of any ``.keras`` file; Keras's safe mode is on.

    Args:
        path: The file.
        **options: `side`, `normalization`, `metric` and `crop` of `KerasModel`.

    Raises:
        InputError: No such file, not loadable, or not a model of one image and one vector.
    """
    start_any_backend()
    from facehash.learning.hash_model import HashModel
    from facehash.learning.model_files import load_model_file

    methods.register()
    model = load_model_file(path)
    if isinstance(model, HashModel):
        raise InputError(f"{path}: a hashing model of this project, name it as run:{path}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return KerasModel(model, f"keras:{path.name}", sha256, **options)


def load_application(
    name: str, weights_dir: Path | None = None, pooling: str | None = None, **options: Any
) -> KerasModel:
    """Make an embedder of ResNet-50 or VGG-16, trained on ImageNet, at 224 x 224.

    They know objects, not people: they are here because older systems used them.

    Args:
        name: ``resnet50``, 2048 numbers, or ``vgg16``, 512 numbers.
        weights_dir: Where the weights are looked for first.
        pooling: ``avg`` or ``max`` over the 7 x 7 places of the last layer; by default the mean
            for ResNet-50, as in the network itself, and the maximum for VGG-16.
        **options: `metric` and `crop` of `KerasModel`.

    Raises:
        InputError: The weights are missing or damaged; nothing is ever embedded by random ones.
    """
    weights = find_weights(name, weights_dir)
    start_any_backend()
    import keras

    make, usual = {
        "resnet50": (keras.applications.ResNet50, "avg"),
        "vgg16": (keras.applications.VGG16, "max"),
    }[name]
    pooling = pooling or usual
    try:
        model = make(
            include_top=False,
            weights=str(weights.path),
            input_shape=(_APPLICATION_SIDE, _APPLICATION_SIDE, 3),
            pooling=pooling,
        )
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{weights.path}: cannot be loaded into {name}: {reason}") from error
    return KerasModel(model, f"{name}-{pooling}", weights.sha256, normalization="caffe", **options)


def _input_side(model: Any, name: str, asked: int | None) -> int:
    shape = getattr(model, "input_shape", None)
    own = None
    if shape is not None:
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
            raise InputError(f"{name}: takes {shape}, an embedder takes square RGB pictures")
        own = shape[1]
    if own is not None and asked is not None and own != asked:
        raise InputError(f"{name}: takes pictures of {own} x {own} pixels, not size={asked}")
    if own is None and asked is None:
        raise InputError(f"{name}: takes pictures of any size; say at which, such as size=160")
    return own or asked


def _output_dimension(model: Any, name: str, side: int) -> int:
    """Ask for the shape that one picture gives, without computing it."""
    import keras

    try:
        output = _only(model.compute_output_spec(keras.KerasTensor((1, side, side, 3), "float32")))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{name}: does not take a {side} x {side} picture: {reason}") from error
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        found = type(output).__name__ if shape is None else tuple(shape)
        raise InputError(f"{name}: returns {found}, an embedder returns one vector a face")
    return int(shape[1])


def _only(output: Any) -> Any:
    """Take the one output of a model that returns a list of one."""
    return output[0] if isinstance(output, list | tuple) and len(output) == 1 else output


def _filled_up(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last image up to the next power of two: JAX compiles anew for every size."""
    missing = (1 << (len(pixels) - 1).bit_length()) - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
