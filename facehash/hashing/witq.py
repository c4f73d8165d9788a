"""Whitened ITQ: iterative quantization where the differences within people are equally large."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hashing.itq import principal_components, rotation
from facehash.hashing.linear import LinearHash, check_collection

SHRINK = 0.1
_LEAST_SHARE = 0.01  # keeps `adapting_whitening` invertible


class WhitenedITQ(LinearHash):
    """ITQ of vectors whitened by the covariance within people; fitted to people with labels.

    Directions in which photos of one person differ much say little about who it is. With U (n, d)
    the centered vectors, scaled to unit length, and u_p their mean over the photos of person p::

        S_w = sum over people with n_p >= 2, and their photos u, of (u - u_p) (u - u_p)^T
              / sum over these people of (n_p - 1)
        S   = (1 - shrink) S_w + shrink trace(S_w) / d I
        V   = U S^(-1/2), its rows scaled to unit length
        projection = S^(-1/2) P R

    P (d, bits) are the principal directions of V about the origin, and R (bits, bits) is the
    rotation of ITQ. V is not centered again: scaling a row changes no sign, so the hash is linear.

    Fit it to other people than those who are searched: it needs their labels, and it has learned
    them. The hash then needs no labels. It can be adapted to the vectors of the library that is
    searched, without labels: mean, P and R are then those of the library, and `adapting_whitening`,
    which is learned from the other people, takes the place of S^(-1/2).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> people = np.repeat(np.arange(50), 4)
        >>> vectors = rng.normal(size=(50, 8))[people] + 0.3 * rng.normal(size=(200, 8))
        >>> hasher = WhitenedITQ.fit(vectors, bits=8, seed=0, labels=people)
        >>> hasher.encode(vectors).shape  # packed: one byte per code
        (200, 1)

    Reference:
        Hatch, Kajarekar, Stolcke. Within-class covariance normalization for SVM-based speaker
        recognition. Interspeech 2006: the whitening. Gong and Lazebnik, CVPR 2011: ITQ. The
        combination and the scaling to unit length are ours.
    """

    name = "witq"

    @classmethod
    def fit(
        cls,
        vectors: ArrayLike,
        bits: int,
        seed: int,
        *,
        labels: ArrayLike | None = None,
        library: ArrayLike | None = None,
        shrink: float = SHRINK,
    ) -> Self:
        """Fit as `LinearHash.fit`, with `bits` at most d; `seed` draws the first rotation.

        Args:
            vectors: Finite real numbers (n, d).
            bits: Length of a code, 1 to d.
            seed: At least 0; the same vectors and seed give the same codes.
            labels: (n,), integers or names: the person of each vector. At least one person has
                two different vectors.
            library: Finite real numbers (m, d), at least two rows: vectors of the library that is
                searched, without labels. The hash is adapted to them, see `adapted_components`.
            shrink: How far the covariance is pulled to a multiple of the identity, above 0 and at
                most 1, which is plain ITQ of unit vectors. Defaults to 0.1.

        Raises:
            CodesError: As for `LinearHash.fit`; labels are missing or of another shape; no person
                has two different vectors; or the library has another shape.
        """
        rows = check_collection(vectors, bits, cls.name)
        people = check_people(rows, bits, labels, shrink, cls.name)
        mean = rows.mean(axis=0)  # (d,)
        units = unit(rows - mean)
        whitening = within_whitening(units, people, shrink, cls.name)  # (d, d)
        if library is not None:
            faces = check_library(library, rows.shape[1], bits, cls.name)
            adapting = adapting_whitening(units, whitening)
            weights = adapted_components(faces, adapting, bits, seed)
            return cls(faces.mean(axis=0), adapting @ weights).with_scale(faces)
        projection = whitening @ rotated_components(unit(units @ whitening), bits, seed)
        return cls(mean, projection).with_scale(rows)


def rotated_components(whitened: NDArray[np.float64], bits: int, seed: int) -> NDArray[np.float64]:
    """Return the hyperplanes of ITQ of whitened vectors (n, d), about the origin, (d, bits)."""
    components = principal_components(whitened, bits)  # (d, bits)
    return components @ rotation(whitened @ components, seed)


def adapting_whitening(
    vectors: NDArray[np.float64], whitening: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute what whitens the vectors of a library before codes are adapted to it.

    With U the vectors, T = U^T U / n their covariance and ``S^(-1/2) T S^(-1/2) = E diag(t) E^T``,
    t_j is 1 plus how much people differ along the direction j in proportion to photos of one
    person, and ``1 - 1 / t_j`` is the share of the differences that is due to people::

        adapting = S^(-1/2) E diag((1 - 1 / t)^(1/2)) E^T

    The principal directions of a library, which may have few people, then avoid directions that
    tell little about who it is.

    Args:
        vectors: U (n, d), centered and of unit length, of people with labels.
        whitening: S^(-1/2), see `within_whitening`.

    Returns:
        float64 (d, d), invertible.
    """
    total = whitening @ (vectors.T @ vectors / len(vectors)) @ whitening
    values, directions = np.linalg.eigh(total)
    share = np.maximum(1 - 1 / np.maximum(values, 1.0), _LEAST_SHARE)
    return np.asarray(whitening @ (directions * np.sqrt(share)) @ directions.T)


def adapted_components(
    library: NDArray[np.float64], adapting: NDArray[np.float64], bits: int, seed: int
) -> NDArray[np.float64]:
    """Return the hyperplanes of ITQ of the vectors of a library after `adapting_whitening`.

    Args:
        library: (n, d), not centered.
        adapting: (d, d).
        bits: Length of a code, at most d.
        seed: Seed of the first rotation.

    Returns:
        float64 (d, bits); ``adapting @ hyperplanes`` is the projection of the hash, whose mean is
        that of the library.
    """
    centered = unit(library - library.mean(axis=0))
    return rotated_components(unit(centered @ adapting), bits, seed)


def check_library(library: ArrayLike, length: int, bits: int, name: str) -> NDArray[np.float64]:
    """Return the vectors of a library as float64 (n, length), or raise CodesError."""
    rows = check_collection(library, bits, name)
    if rows.shape[1] != length:
        raise CodesError(
            f"{name}: the vectors of the library have length {rows.shape[1]}, the others {length}"
        )
    return rows


def check_people(
    rows: NDArray[np.float64], bits: int, labels: ArrayLike | None, shrink: float, name: str
) -> NDArray[np.generic]:
    """Return the labels (n,) of the rows (n, d) of `WhitenedITQ.fit`, or raise its CodesError."""
    if bits > rows.shape[1]:
        raise CodesError(
            f"{name}: {bits} bits need vectors of length {bits} or more, got length {rows.shape[1]}"
        )
    people = np.asarray([] if labels is None else labels)
    if people.shape != rows.shape[:1]:
        given = "no labels" if labels is None else f"labels of shape {people.shape}"
        raise CodesError(
            f"{name}: needs the person of each of the {len(rows)} vectors, got {given}"
        )
    if not 0 < shrink <= 1:
        raise CodesError(f"{name}: shrink must be above 0 and at most 1, got {shrink}")
    return people


def within_whitening(
    vectors: NDArray[np.float64], labels: NDArray[np.generic], shrink: float, name: str = "witq"
) -> NDArray[np.float64]:
    """Compute the symmetric matrix S^(-1/2) of `WhitenedITQ`.

    Args:
        vectors: (n, d).
        labels: (n,), the person of each vector; people with one vector do not count.
        shrink: Above 0, at most 1.
        name: For error messages.

    Returns:
        float64 (d, d).

    Raises:
        CodesError: No person has two different vectors.
    """
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), vectors.shape[1]))
    np.add.at(means, person, vectors)
    means /= count[:, None]
    several = count[person] >= 2
    residuals = (vectors - means[person])[several]  # (m, d)
    covariance = residuals.T @ residuals / max(1, np.sum(count[count >= 2] - 1))
    variance = np.trace(covariance) / len(covariance)
    if variance <= np.finfo(np.float64).eps:
        raise CodesError(f"{name}: no person has two different vectors; use itq, or more photos")
    shrunk = (1 - shrink) * covariance + shrink * variance * np.eye(len(covariance))
    values, directions = np.linalg.eigh(shrunk)
    return np.asarray((directions / np.sqrt(values)) @ directions.T)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)
