"""Keras models as embedders: a ``.keras`` file, or ResNet-50 and VGG-16 of keras.applications."""

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
    # As TensorFlow's per_image_standardization: the noise of a uniform picture is not amplified.
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
"""Preprocessing of float32 (n, side, side, 3) RGB pixels 0 to 255 for a network.

``none``: unchanged, for a model that contains its preprocessing; ``unit``: 0 to 1; ``symmetric``:
-1 to 1; ``per_image``: standardized by the mean and deviation of each image; ``caffe``: BGR minus
the mean of ImageNet; ``torch``: 0 to 1, then standardized by the statistics of ImageNet.
"""


class KerasModel:
    """Embeds faces with a Keras model that returns one vector per face.

    Args:
        model: A `keras.Model` with one input (batch, side, side, 3) and one output (batch, d).
        name: Name of the model in the identity and in error messages.
        sha256: Digest of the file with its weights.
        side: Height and width in pixels; None uses the model's input size.
        normalization: A key of `NORMALIZATIONS`.
        metric: ``cosine`` scales rows to length 1; ``euclidean`` leaves them unchanged.
        crop: How faces must be cropped.

    Raises:
        InputError: The model has another input or output.
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
        # Older files have their single input in a list, and Keras warns unless it is passed so.
        self._input_is_list = isinstance(getattr(model, "input", None), list)

    @property
    def identity(self) -> str:
        """Name, size, normalization, metric, crop, and the SHA-256 of the weights."""
        return (
            f"{self._name}:size={self.side},normalization={self.normalization},"
            f"metric={self.metric},crop={self.crop},sha256={self._sha256}"
        )

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed uint8 (n, side, side, 3) RGB faces as float32 (n, dimension)."""
        check_faces(faces, self.side)
        vectors = np.empty((len(faces), self.dimension), np.float32)
        normalize = NORMALIZATIONS[self.normalization]
        for first in range(0, len(faces), _BATCH):
            pixels = normalize(faces[first : first + _BATCH].astype(np.float32))
            batch = _pad(pixels)
            inputs = [batch] if self._input_is_list else batch
            rows = _single_output(self._model.predict_on_batch(inputs))
            vectors[first : first + _BATCH] = rows[: len(pixels)]
        check_finite(vectors, self._name)
        return unit_rows(vectors) if self.metric == "cosine" else vectors


def load_keras_embedder(path: Path, **options: Any) -> KerasModel:
    """Make an embedder from a ``.keras`` file, loaded in Keras's safe mode.

    Args:
        path: The file.
        **options: `side`, `normalization`, `metric` and `crop` of `KerasModel`.

    Raises:
        InputError: The file does not exist, cannot be loaded, or is not a model from one image to
            one vector.
    """
    start_any_backend()
    from facehash.learning.hash_model import HashModel
    from facehash.learning.model_files import load_model_file

    methods.register()
    model = load_model_file(path)
    if isinstance(model, HashModel):
        raise InputError(f"{path}: a hashing model of this project; use run:{path}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return KerasModel(model, f"keras:{path.name}", sha256, **options)


def load_application(
    name: str, weights_dir: Path | None = None, pooling: str | None = None, **options: Any
) -> KerasModel:
    """Make an embedder from ResNet-50 or VGG-16, trained on ImageNet, at 224 x 224.

    These networks were trained on objects, not on faces. They serve as a comparison, as older
    systems used them.

    Args:
        name: ``resnet50`` (2048 dimensions) or ``vgg16`` (512 dimensions).
        weights_dir: Folder searched first for the weights.
        pooling: ``avg`` or ``max`` over the 7 x 7 positions of the last layer. Default: ``avg`` for
            ResNet-50, as in the network itself, and ``max`` for VGG-16.
        **options: `metric` and `crop` of `KerasModel`.

    Raises:
        InputError: The weights are missing or damaged; random weights are never used instead.
    """
    weights = find_weights(name, weights_dir)
    start_any_backend()
    import keras

    make, default_pooling = {
        "resnet50": (keras.applications.ResNet50, "avg"),
        "vgg16": (keras.applications.VGG16, "max"),
    }[name]
    pooling = pooling or default_pooling
    try:
        model = make(
            include_top=False,
            weights=str(weights.path),
            input_shape=(_APPLICATION_SIDE, _APPLICATION_SIDE, 3),
            pooling=pooling,
        )
    except Exception as error:
        reason = _first_line(error)
        raise InputError(f"{weights.path}: cannot be loaded into {name}: {reason}") from error
    return KerasModel(model, f"{name}-{pooling}", weights.sha256, normalization="caffe", **options)


def _input_side(model: Any, name: str, size: int | None) -> int:
    """Return the side of the model's input: fixed by the model, or the option `size`."""
    shape = getattr(model, "input_shape", None)
    fixed = None
    if shape is not None:
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
            raise InputError(f"{name}: the input is {shape}, an embedder takes square RGB pictures")
        fixed = shape[1]
    if fixed is not None and size is not None and fixed != size:
        raise InputError(f"{name}: takes pictures of {fixed} x {fixed} pixels, not size={size}")
    if fixed is None and size is None:
        raise InputError(f"{name}: takes pictures of any size; add one, for example size=160")
    return fixed or size


def _output_dimension(model: Any, name: str, side: int) -> int:
    """Return the length of the model's vectors without running the model."""
    import keras

    try:
        picture = keras.KerasTensor((1, side, side, 3), "float32")
        output = _single_output(model.compute_output_spec(picture))
    except Exception as error:
        reason = _first_line(error)
        raise InputError(f"{name}: does not take a {side} x {side} picture: {reason}") from error
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        found = type(output).__name__ if shape is None else tuple(shape)
        raise InputError(f"{name}: returns {found}, an embedder returns one vector per face")
    return int(shape[1])


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _single_output(output: Any) -> Any:
    """Return the output of a model, also if it is a list of one."""
    return output[0] if isinstance(output, list | tuple) and len(output) == 1 else output


def _pad(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last image up to a power of two, as JAX compiles anew for every batch size."""
    missing = (1 << (len(pixels) - 1).bit_length()) - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
