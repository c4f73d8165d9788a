"""Whitened ITQ: iterative quantization where the differences within people are equally large."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hashing.itq import principal_components, rotation
from facehash.hashing.linear import LinearHash, check_collection

SHRINK = 0.1


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
    them. The hash then needs no labels.

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
        shrink: float = SHRINK,
    ) -> Self:
        """Fit as `LinearHash.fit`, with `bits` at most d; `seed` draws the first rotation.

        Args:
            vectors: Finite real numbers (n, d).
            bits: Length of a code, 1 to d.
            seed: At least 0; the same vectors and seed give the same codes.
            labels: (n,), integers or names: the person of each vector. At least one person has
                two different vectors.
            shrink: How far the covariance is pulled to a multiple of the identity, above 0 and at
                most 1, which is plain ITQ of unit vectors. Defaults to 0.1.

        Raises:
            CodesError: As for `LinearHash.fit`; labels are missing or of another shape; or no
                person has two different vectors.
        """
        rows = check_collection(vectors, bits, cls.name)
        people = check_people(rows, bits, labels, shrink, cls.name)
        mean = rows.mean(axis=0)  # (d,)
        units = unit(rows - mean)
        whitening = within_whitening(units, people, shrink, cls.name)  # (d, d)
        projection = whitening @ rotated_components(unit(units @ whitening), bits, seed)
        return cls(mean, projection).with_scale(rows)


def rotated_components(whitened: NDArray[np.float64], bits: int, seed: int) -> NDArray[np.float64]:
    """Return the hyperplanes of ITQ of whitened vectors (n, d), about the origin, (d, bits)."""
    components = principal_components(whitened, bits)  # (d, bits)
    return components @ rotation(whitened @ components, seed)


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
