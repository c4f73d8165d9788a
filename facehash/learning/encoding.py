"""Encoding images with a trained model."""

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


def encode(model: HashModel, images: NDArray[np.uint8], batch: int = 256) -> NDArray[np.uint8]:
    """Encode face images as binary codes.

    Args:
        model: A trained model, which includes the preprocessing.
        images: uint8 (n, height, width, 3), RGB; resized to the model's side if necessary.
        batch: Images per step.

    Returns:
        uint8 (n, ceil(bits / 8)), packed codes as defined in `facehash.codes`.

    Raises:
        CodesError: The model returned NaN.

    Example:
        >>> model = methods.load(Path("runs/quickstart-48-s0/model.keras"))  # doctest: +SKIP
        >>> encode(model, images).shape  # doctest: +SKIP
        (10, 6)
    """
    return packed_from_signs(sign(relaxed_codes(model, images, batch)))


def relaxed_codes(
    model: HashModel, images: NDArray[np.uint8], batch: int = 256
) -> NDArray[np.float32]:
    """Compute relaxed codes, the values whose signs are the code.

    Args:
        model: A trained model.
        images: As for `encode`.
        batch: Images per step.

    Returns:
        float32 (n, bits) in (-1, 1).
    """
    if len(images) == 0:
        return np.empty((0, model.bits), dtype=np.float32)
    if images.shape[1:3] != (model.side, model.side):
        images = np.stack([resize(image, model.side) for image in images])
    return model.predict(images, batch_size=batch, verbose=0)["relaxed"]


def features_and_logits(
    model: HashModel, dataset: FaceDataset, rows: IndexArray, batch: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the input of the hash layer, and the outputs of the classifier.

    Args:
        model: A trained model whose network has a layer named ``"feature"``.
        dataset: Images are read a few thousand at a time.
        rows: int64 (n,), indices of at least one image.
        batch: Images per step.

    Returns:
        Features float32 (n, d) and logits float32 (n, len(model.identities)).

    Raises:
        InputError: The network has no layer named ``"feature"``.
    """
    names = [layer.name for layer in model.network.layers]
    if "feature" not in names:
        raise InputError(
            f"{type(model).__name__} has no layer named 'feature'; give this name to the layer "
            "before the hash layer, whose output the baselines hash"
        )
    image = keras.Input((model.side, model.side, 3))
    inner = keras.Model(
        model.network.inputs,
        [model.network.get_layer("feature").output, model.network.output["logits"]],
    )
    outer = keras.Model(image, inner(model.standardize(image)))
    blocks = [
        outer.predict(dataset.read(rows[first : first + _ROWS_IN_MEMORY]), batch, verbose=0)
        for first in range(0, len(rows), _ROWS_IN_MEMORY)
    ]
    features, logits = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return features.astype(np.float32), logits.astype(np.float32)


def retrieval_map(
    model: HashModel,
    gallery: tuple[NDArray[np.uint8], NDArray[np.integer]],
    query: tuple[NDArray[np.uint8], NDArray[np.integer]],
) -> float:
    """Compute the mAP of images as queries against other images, expected over all tie orders.

    Queries whose class the gallery lacks do not count.

    Args:
        model: A model.
        gallery: Images uint8 (n, side, side, 3), and their classes int (n,).
        query: The same for the queries, (m, side, side, 3) and (m,).

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
