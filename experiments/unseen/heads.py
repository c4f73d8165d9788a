"""Fit the methods of a table that need no network: to other people, or to a gallery.

A head turns vectors into codes, and compares queries with them: `LinearHash` by both distances of
codes, `ProductCodes` by the asymmetric one. Moving a head to another mean subtracts that mean
instead of the one it was fitted with; everything else stays.
"""

import dataclasses
import importlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.unseen.config import Method
from experiments.unseen.protocol import LabeledVectors
from facehash.codes import CodesError
from facehash.errors import InputError
from facehash.hashing import HASHERS, LABELED_HASHERS, LinearHash
from facehash.hashing.itq import principal_components
from facehash.hashing.linear import check_collection
from facehash.vectors import Rows, unit_rows

CENTROIDS = 256  # of a sub-quantizer, one byte


class PrincipalSigns(LinearHash):
    """The signs of the first `bits` principal components: ITQ without its rotation."""

    name = "pca"

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Fit as `LinearHash.fit`, with `bits` at most d; the seed has no effect."""
        rows = check_collection(vectors, bits, cls.name)
        if bits > rows.shape[1]:
            raise CodesError(f"pca: {bits} bits need vectors of length {bits}, got {rows.shape[1]}")
        mean = rows.mean(axis=0)
        return cls(mean, principal_components(rows - mean, bits)).with_scale(rows)


@dataclass(frozen=True)
class ProductCodes:
    """Optimized product quantization: after a rotation, a byte for each part of a vector.

    Vectors are centered and scaled to length 1. With r the vector that a code stands for, the
    asymmetric distance of a query q is ``|q - r|^2``: a sum of table entries, one for each byte.

    Attributes:
        mean: float32 (d,), subtracted from every vector.
        rotation: float32 (d, d), orthogonal: ``rotated = centered @ rotation``.
        centroids: float32 (m, 256, d / m), of each part.

    Reference:
        Ge, He, Ke, Sun. Optimized Product Quantization for Approximate Nearest Neighbor Search.
        CVPR 2013. Fitted by FAISS (Johnson, Douze, Jegou 2019): `faiss.OPQMatrix`.
    """

    mean: Rows
    rotation: Rows
    centroids: Rows

    @classmethod
    def fit(cls, vectors: Rows, bits: int, seed: int) -> Self:
        """Fit `bits` / 8 sub-quantizers of 8 bits to vectors (n, d), n at least 256.

        `seed` draws the rotation from which FAISS starts, and its centroids.

        Raises:
            InputError: `bits` is no multiple of 8, or its bytes do not divide the vectors; or
                there are fewer than 256.
        """
        import faiss  # takes a while, so not earlier

        parts, rest = divmod(bits, 8)
        dimension = vectors.shape[1]
        if rest or dimension % parts or len(vectors) < CENTROIDS:
            raise InputError(
                f"opq: {bits} bits need at least {CENTROIDS} vectors whose length is a multiple of "
                f"{bits} / 8, got {vectors.shape}"
            )
        mean = vectors.mean(axis=0)
        rows = unit_rows(vectors - mean)
        normal = np.random.default_rng(seed).standard_normal((dimension, dimension))
        first = np.linalg.qr(normal)[0].astype(np.float32)
        quantizer = faiss.ProductQuantizer(dimension, parts, 8)
        quantizer.cp.seed = seed + 1
        quantizer.cp.min_points_per_centroid = 1  # no warning on standard error
        learned = faiss.OPQMatrix(dimension, parts)
        learned.pq = quantizer
        started = np.ascontiguousarray(rows @ first)
        learned.train(started)
        matrix = faiss.vector_to_array(learned.A).reshape(dimension, dimension)
        rotation = np.asarray(first @ matrix.T, np.float32)
        quantizer.train(np.ascontiguousarray(rows @ rotation))
        shape = (parts, CENTROIDS, dimension // parts)
        return cls(mean, rotation, faiss.vector_to_array(quantizer.centroids).reshape(shape))

    def rotated(self, vectors: Rows) -> NDArray[np.float64]:
        """Return vectors centered, scaled to length 1 and rotated, float64 (n, d)."""
        return unit_rows(vectors - self.mean).astype(np.float64) @ self.rotation

    def encode(self, vectors: Rows) -> NDArray[np.uint8]:
        """Return the number of the nearest centroid of each part, uint8 (n, m)."""
        parts, _, width = self.centroids.shape
        rows = self.rotated(vectors).reshape(-1, parts, width)
        codes = np.empty((len(rows), parts), np.uint8)
        for part, centroids in enumerate(self.centroids.astype(np.float64)):
            far = (centroids**2).sum(axis=1) - 2 * rows[:, part] @ centroids.T  # (n, 256)
            codes[:, part] = far.argmin(axis=1)
        return codes

    def distances(self, queries: Rows, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the asymmetric distances of vectors (q, d) and codes (n, m), float64 (q, n)."""
        parts = len(self.centroids)
        meant = self.centroids[np.arange(parts), codes].reshape(len(codes), -1).astype(np.float64)
        rows = self.rotated(queries)
        squares = (rows**2).sum(axis=1)[:, None] + (meant**2).sum(axis=1)
        return np.asarray(squares - 2 * rows @ meant.T)


Head = LinearHash | ProductCodes


def fit_head(
    method: Method, bits: int, seed: int, train: LabeledVectors, gallery: Rows | None = None
) -> Head:
    """Fit a method to other people, or to a gallery.

    Args:
        method: Its name.
        bits: Length of a code.
        seed: Of what the method draws.
        train: Vectors of other people, with labels.
        gallery: float32 (n, d), to which the method is adapted; None for other people only.
            Methods that need labels take those of `train`.

    Raises:
        CodesError: The method cannot make codes of this length from these vectors.
        InputError: The same, for `ProductCodes`.
    """
    rows = train.rows if gallery is None else gallery
    if method == "opq":
        return ProductCodes.fit(rows, bits, seed)
    if method == "pca":
        return PrincipalSigns.fit(rows, bits, seed)
    if method in HASHERS:
        return HASHERS[method].fit(rows, bits, seed)
    return LABELED_HASHERS[method].fit(train.rows, bits, seed, labels=train.names, library=gallery)


def recentred(head: Head, gallery: Rows) -> Head:
    """Return a head with the mean of a gallery (n, d) in place of its own."""
    mean = gallery.mean(axis=0)
    if isinstance(head, ProductCodes):
        return dataclasses.replace(head, mean=mean)
    return LinearHash(mean, head.projection, head.scale)


def constants_of(method: Method) -> dict[str, Any]:
    """Return the values that a method's numbers depend on: upper-case names of its module."""
    kind = {"pca": PrincipalSigns, **HASHERS, **LABELED_HASHERS}.get(method)
    if kind is None or kind is PrincipalSigns:
        return {}
    module = importlib.import_module(kind.__module__)
    return {
        name: value
        for name, value in sorted(vars(module).items())
        if name.isupper() and isinstance(value, int | float | str)
    }


def bytes_per_face(bits: int | None, dimension: int) -> int:
    """Return what is stored of a face: its code, or its vector in single precision."""
    return 4 * dimension if bits is None else (bits + 7) // 8
