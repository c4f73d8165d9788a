"""Encoding images, or vectors, with a trained model."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed, packed_from_signs, sign
from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError
from facehash.hamming.search import distance_histograms
from facehash.hashing.linear import scale_of_bits
from facehash.images.read import resize
from facehash.learning.hash_model import HashModel
from facehash.retrieval.metrics import average_precision

_ROWS_IN_MEMORY = 8192
_BELOW_1 = float(np.nextafter(np.float32(1), np.float32(0)))  # of which arctanh is finite

NO_SCALE = (
    "this model has no scale of projections, which training stores since 0.2.0; more epochs, or "
    "training it again, add one"
)
"""Why a model cannot be compared by the asymmetric distance."""


def encode(model: HashModel, images: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
    """Encode face images, or vectors, as binary codes.

    Args:
        model: A trained model, which includes the preprocessing.
        images: uint8 (n, height, width, 3), RGB; resized to the model's side if necessary. For a
            model with vectors as input: floats (n, d).
        batch: Images per step.

    Returns:
        uint8 (n, ceil(bits / 8)), packed codes as defined in `facehash.codes`.

    Raises:
        InputError: Images for a model of vectors, or vectors of another length.
        CodesError: The model returned NaN.

    Example:
        >>> model = methods.load(Path("runs/quickstart-48-s0/model.keras"))  # doctest: +SKIP
        >>> encode(model, images).shape  # doctest: +SKIP
        (10, 6)
    """
    return packed_from_signs(sign(relaxed_codes(model, images, batch)))


def relaxed_codes(model: HashModel, images: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
    """Compute relaxed codes, the values whose signs are the code.

    Args:
        model: A trained model.
        images: As for `encode`.
        batch: Images per step.

    Returns:
        float32 (n, bits) in (-1, 1).

    Raises:
        InputError: As for `encode`.
    """
    images = _check_items(model, images)
    if len(images) == 0:
        return np.empty((0, model.bits), dtype=np.float32)
    return model.predict(images, batch_size=batch, verbose=0)["relaxed"]


def _check_items(model: HashModel, images: NDArray[Any]) -> NDArray[Any]:
    """Return what a model takes: vectors, or images of its side."""
    takes_vectors = model.input_kind == "vectors"
    if (images.shape[1:] != model.item_shape) if takes_vectors else (images.ndim != 4):
        expected = f"vectors (n, {model.item_shape[0]})" if takes_vectors else "images"
        raise InputError(f"this model takes {expected}, got an array of shape {images.shape}")
    if len(images) and images.shape[1:] != model.item_shape:
        return np.stack([resize(image, model.side) for image in images])
    return images


class Projector:
    """Computes codes and projections, the numbers whose signs are the code, in one pass.

    The projections are the input of the network's layer ``"relaxed"`` if this is an activation, as
    the tanh of DDH; otherwise, as in DCBH or in a network that is not functional,
    ``arctanh(relaxed)``, which undoes a tanh. A value whose sign differs from that of the relaxed
    code, by rounding, is 0.

    Args:
        model: A trained model. Later changes of its weights count.
        batch: Images per step.

    Example:
        >>> projector = Projector(facehash.load_model("runs/quickstart-48-s0"))  # doctest: +SKIP
        >>> codes, projected = projector.scaled(images)  # doctest: +SKIP
        >>> codes.shape, projected.shape  # doctest: +SKIP
        ((10, 6), (10, 48))
    """

    def __init__(self, model: HashModel, batch: int = 256) -> None:
        self.model, self.batch = model, batch
        before = _input_of_tanh(model.network)
        self._outer = None
        if before is not None:
            item = keras.Input(model.item_shape)
            inner = keras.Model(model.network.inputs, [model.network.output["relaxed"], before])
            self._outer = keras.Model(item, inner(model.standardize(item)))

    def plain(self, images: NDArray[Any]) -> tuple[Packed, NDArray[np.float32]]:
        """Compute codes, and projections that are not divided by a scale.

        Args:
            images: As for `encode`.

        Returns:
            Packed codes uint8 (n, ceil(bits / 8)), and projections float32 (n, bits).

        Raises:
            InputError: As for `encode`.
            CodesError: The model returned NaN.
        """
        images = _check_items(self.model, images)
        if self._outer is None or len(images) == 0:
            relaxed = relaxed_codes(self.model, images, self.batch)
            found = np.arctanh(np.clip(relaxed, -_BELOW_1, _BELOW_1, dtype=np.float64))
        else:
            relaxed, found = self._outer.predict(images, batch_size=self.batch, verbose=0)
        bits = sign(relaxed)
        found = np.where(sign(found) == bits, found, 0).astype(np.float32)
        return packed_from_signs(bits), found

    def scaled(self, images: NDArray[Any]) -> tuple[Packed, NDArray[np.float32]]:
        """Compute codes, and projections as `facehash.hamming.asymmetric` expects them.

        Args:
            images: As for `encode`.

        Returns:
            Packed codes uint8 (n, ceil(bits / 8)), and projections float32 (n, bits), divided by
            `HashModel.projection_scale`: over the training images, their mean absolute value is 1.

        Raises:
            InputError: The model has no scale, or as for `encode`.
            CodesError: The model returned NaN.
        """
        if self.model.projection_scale is None:
            raise InputError(NO_SCALE)
        codes, found = self.plain(images)
        return codes, found / np.float32(self.model.projection_scale)

    def scaled_rows(
        self, dataset: FaceDataset, rows: IndexArray
    ) -> tuple[Packed, NDArray[np.float32]]:
        """Do as `scaled` for images of a data set, int64 (n,), read a few thousand at a time."""
        parts = [self.scaled(dataset.read(block)) for block in _blocks(rows)]
        codes, found = zip(*parts, strict=True)
        return np.concatenate(codes), np.concatenate(found)


def _input_of_tanh(network: Any) -> Any:
    """Return the symbolic input of the layer ``"relaxed"``, None if it is no activation."""
    last = {layer.name: layer for layer in network.layers}.get("relaxed")
    if not isinstance(last, keras.layers.Activation):
        return None
    try:
        before = last.input
    except (AttributeError, ValueError):  # it is not in a graph, or is called twice
        return None
    return before if hasattr(network, "_nodes_by_depth") else None


def projections(model: HashModel, images: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
    """Compute the numbers whose signs are the code, without a scale, see `Projector.plain`.

    Args:
        model: A trained model.
        images: As for `encode`.
        batch: Images per step.

    Returns:
        float32 (n, bits).

    Raises:
        InputError: As for `encode`.
        CodesError: The model returned NaN.
    """
    return Projector(model, batch).plain(images)[1]


def projection_scale(
    model: HashModel, images: NDArray[Any], batch: int = 256, devices: int = 1
) -> list[float]:
    """Compute what divides the projections of each bit before an asymmetric comparison.

    It is the mean absolute projection over the training images, see
    `facehash.hashing.linear.scale_of_bits`, so that every bit has the same weight on average.

    Args:
        model: A trained model.
        images: uint8 (n, side, side, 3), or vectors (n, d): the training images, n >= 1.
        batch: Images per step.
        devices: Number of devices that share a step; it divides `batch`.

    Returns:
        The value of each bit, above 0, to be stored as `HashModel.projection_scale`.

    Raises:
        CodesError: The model returned NaN.

    Example:
        >>> model.projection_scale = projection_scale(model, images)  # doctest: +SKIP
    """
    projector = Projector(model, batch)
    total = np.zeros(model.bits)
    for rows in _blocks(np.arange(len(images))):
        padded = np.pad(rows, (0, -len(rows) % devices), mode="edge")
        found = projector.plain(images[padded])[1][: len(rows)]
        total += np.abs(found).sum(axis=0, dtype=np.float64)
    return [float(value) for value in scale_of_bits(total / len(images))]


def features_and_logits(
    model: HashModel, dataset: FaceDataset, rows: IndexArray, batch: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the input of the hash layer, and the outputs of the classifier.

    The features of vectors are these vectors as the model standardizes them.

    Args:
        model: A trained model. If it takes images, its network has a layer named ``"feature"``.
        dataset: Images are read a few thousand at a time.
        rows: int64 (n,), indices of at least one image.
        batch: Images per step.

    Returns:
        Features float32 (n, d) and logits float32 (n, len(model.identities)).

    Raises:
        InputError: A network for images has no layer named ``"feature"``.
    """
    network = model.network
    if model.input_kind == "vectors":
        feature = network.inputs[0]
    elif "feature" in [layer.name for layer in network.layers]:
        feature = network.get_layer("feature").output
    else:
        raise InputError(
            f"{type(model).__name__} has no layer named 'feature'; give this name to the layer "
            "before the hash layer, whose output the baselines hash"
        )
    item = keras.Input(model.item_shape)
    inner = keras.Model(network.inputs, [feature, network.output["logits"]])
    outer = keras.Model(item, inner(model.standardize(item)))
    blocks = [outer.predict(dataset.read(block), batch, verbose=0) for block in _blocks(rows)]
    features, logits = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return features.astype(np.float32), logits.astype(np.float32)


def retrieval_map(
    model: HashModel,
    gallery: tuple[NDArray[Any], NDArray[np.integer]],
    query: tuple[NDArray[Any], NDArray[np.integer]],
) -> float:
    """Compute the mAP of images as queries against other images, expected over all tie orders.

    Queries whose class the gallery lacks do not count.

    Args:
        model: A model.
        gallery: Images uint8 (n, side, side, 3), or vectors (n, d), and their classes int (n,).
        query: The same for the m queries.

    Returns:
        0 to 1; NaN if the gallery has the class of no query.

    Example:
        >>> retrieval_map(model, (images, classes), (images, classes))  # doctest: +SKIP
        1.0
    """
    known = np.isin(query[1], gallery[1])
    if not known.any():
        return float("nan")
    codes = [encode(model, images) for images in (gallery[0], query[0][known])]
    counts = distance_histograms(*codes, gallery[1], query[1][known], model.bits)
    return float(average_precision(*counts).expected.mean())


def encode_rows(model: HashModel, dataset: FaceDataset, rows: IndexArray) -> NDArray[np.uint8]:
    """Encode images of a data set, which need not fit into memory.

    Args:
        model: A trained model.
        dataset: Images are read a few thousand at a time.
        rows: int64 (n,), indices of images.

    Returns:
        uint8 (n, ceil(bits / 8)), packed codes.
    """
    return np.concatenate([encode(model, dataset.read(block)) for block in _blocks(rows)])


def _blocks(rows: IndexArray) -> list[IndexArray]:
    """Divide indices into blocks of images that fit into memory; there is at least one."""
    starts = range(0, max(len(rows), 1), _ROWS_IN_MEMORY)
    return [rows[first : first + _ROWS_IN_MEMORY] for first in starts]
