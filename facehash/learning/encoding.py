"""Encoding images, or vectors, with a trained model."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facehash.codes import packed_from_signs, sign
from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError
from facehash.hamming.search import distance_histograms
from facehash.images.read import resize
from facehash.learning.hash_model import HashModel
from facehash.retrieval.metrics import average_precision

_ROWS_IN_MEMORY = 8192


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
    takes_vectors = model.input_kind == "vectors"
    if (images.shape[1:] != model.item_shape) if takes_vectors else (images.ndim != 4):
        expected = f"vectors (n, {model.item_shape[0]})" if takes_vectors else "images"
        raise InputError(f"this model takes {expected}, got an array of shape {images.shape}")
    if len(images) == 0:
        return np.empty((0, model.bits), dtype=np.float32)
    if images.shape[1:] != model.item_shape:
        images = np.stack([resize(image, model.side) for image in images])
    return model.predict(images, batch_size=batch, verbose=0)["relaxed"]


def projections(model: HashModel, images: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
    """Compute the numbers whose signs are the code, before the tanh that flattens them.

    These are the input of the network's layer named ``"relaxed"``. Where this is not an activation,
    as in DCBH, they are the relaxed codes. A value whose sign differs from that of `encode`, by
    rounding, is 0.

    Args:
        model: A trained model.
        images: As for `encode`, images of the model's side.
        batch: Images per step.

    Returns:
        float32 (n, bits). `facehash.hamming.asymmetric` expects them divided by their
        `facehash.hashing.linear.scale_of_bits`.

    Raises:
        InputError: As for `encode`.
    """
    relaxed = relaxed_codes(model, images, batch)
    found = relaxed
    network = model.network
    last = {layer.name: layer for layer in network.layers}.get("relaxed")
    if len(images) and isinstance(last, keras.layers.Activation):
        item = keras.Input(model.item_shape)
        inner = keras.Model(network.inputs, last.input)
        outer = keras.Model(item, inner(model.standardize(item)))
        found = outer.predict(images, batch_size=batch, verbose=0).astype(np.float32)
    return np.where(sign(found) == sign(relaxed), found, np.float32(0))


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
    blocks = [
        outer.predict(dataset.read(rows[first : first + _ROWS_IN_MEMORY]), batch, verbose=0)
        for first in range(0, len(rows), _ROWS_IN_MEMORY)
    ]
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
    blocks = range(0, len(rows), _ROWS_IN_MEMORY)
    return np.concatenate(
        [encode(model, dataset.read(rows[first : first + _ROWS_IN_MEMORY])) for first in blocks]
    )
