"""Neighborhood distillation: hyperplanes whose codes keep the neighbors of the vectors."""

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.hashing.linear import LinearHash, check_collection
from facehash.hashing.witq import (
    SHRINK,
    adapted_components,
    adapting_whitening,
    check_library,
    check_people,
    rotated_components,
    unit,
    within_whitening,
)

TEACHER, STUDENT = 0.03, 0.06  # temperatures of the cosines of vectors, and of codes
QUANTIZATION = 0.1
NEIGHBORS, BATCH = 8, 512
STEPS, RATE = 500, 1e-3

Matrix = NDArray[np.float64]


class NeighborhoodDistillation(LinearHash):
    """Starts as `WhitenedITQ`, and learns codes that rank neighbors as the float vectors do.

    With V (n, d) the whitened vectors of `WhitenedITQ`, ``p = V W / s`` their projections (s makes
    their mean size 1 at the start) and ``h = tanh(p)``, each step takes a batch of vectors with
    their nearest neighbors and lowers `distillation_loss` by Adam. Labels are used by the
    whitening alone, so that the hash can be fitted to the vectors of a library as well.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> people = np.repeat(np.arange(50), 4)
        >>> vectors = rng.normal(size=(50, 8))[people] + 0.3 * rng.normal(size=(200, 8))
        >>> hasher = NeighborhoodDistillation.fit(vectors, 8, 0, labels=people, steps=10)
        >>> hasher.encode(vectors).shape  # packed: one byte per code
        (200, 1)

    Reference:
        Ours. Distilling relations between items goes back to Park, Kim, Lu, Cho. Relational
        Knowledge Distillation. CVPR 2019.
    """

    name = "ndh"

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
        steps: int = STEPS,
    ) -> Self:
        """Fit as `WhitenedITQ.fit`, then distill.

        Args:
            vectors: Finite real numbers (n, d).
            bits: Length of a code, 1 to d.
            seed: At least 0; the same vectors and seed give the same codes.
            labels: (n,), the person of each vector.
            library: Finite real numbers (m, d), at least two rows: vectors of the library that is
                searched, without labels. The hash starts from `WhitenedITQ` adapted to them, and
                is distilled on them.
            shrink: As for `WhitenedITQ.fit`.
            steps: Number of batches, 0 or more; 0 is `WhitenedITQ`. Defaults to 500.

        Raises:
            CodesError: As for `WhitenedITQ.fit`, or the library has another shape.
        """
        rows = check_collection(vectors, bits, cls.name)
        people = check_people(rows, bits, labels, shrink, cls.name)
        mean = rows.mean(axis=0)  # (d,)
        units = unit(rows - mean)
        whitening = within_whitening(units, people, shrink, cls.name)  # (d, d)
        if library is not None:
            rows = check_library(library, rows.shape[1], bits, cls.name)
            whitening = adapting_whitening(units, whitening)
            weights = adapted_components(rows, whitening, bits, seed)
            mean = rows.mean(axis=0)
            whitened = unit(unit(rows - mean) @ whitening)
        else:
            whitened = unit(units @ whitening)
            weights = rotated_components(whitened, bits, seed)
        weights = distill(whitened, weights, seed, steps)
        return cls(mean, whitening @ weights).with_scale(rows)


def distillation_loss(
    projected: Matrix, vectors: Matrix, teacher: float = TEACHER, student: float = STUDENT
) -> tuple[float, Matrix]:
    """Compute how far the neighborhoods of codes are from those of vectors.

    ``P[i] = softmax over j != i of cos(v_i, v_j) / teacher``, the neighborhood of vector i.
    ``S1[i, j] = h_i . h_j / bits`` and ``S2[i, j] = (p_i / a) . h_j / bits``, where ``h = tanh(p)``
    and a is the mean |p| of each bit: the similarity of two codes, and of a query's projections
    with a code. ``Q1`` and ``Q2`` are their softmax over j != i with the temperature `student`::

        loss = -1/2 * mean over i of sum over j of P (log Q1 + log Q2)
               + 0.1 * mean over i and bits of (1 - |h|)

    Args:
        projected: p, (n, bits), n at least 2.
        vectors: v, (n, d), of unit length.
        teacher: Temperature of the vectors, larger than 0.
        student: Temperature of the codes, larger than 0.

    Returns:
        The loss, and its gradient (n, bits) by p, where a counts as a constant.
    """
    count, bits = projected.shape
    codes = np.tanh(projected)
    sizes = np.maximum(np.abs(projected).mean(axis=0), 1e-12)  # (bits,)
    target = np.exp(_log_softmax(vectors @ vectors.T / teacher))  # 0 on the diagonal
    loss = QUANTIZATION * float(np.mean(1 - np.abs(codes)))
    by_code = -QUANTIZATION * np.sign(codes) / codes.size
    by_projection = np.zeros_like(projected)
    for left in (codes, projected / sizes):
        logs = _log_softmax(left @ codes.T / (bits * student))
        slope = np.exp(logs)  # 0 on the diagonal
        np.fill_diagonal(logs, 0.0)
        loss -= 0.5 * float(np.sum(target * logs)) / count
        slope = 0.5 * (slope - target) / (count * student * bits)
        by_code += slope.T @ left
        if left is codes:
            by_code += slope @ codes
        else:
            by_projection += slope @ codes / sizes
    return loss, by_projection + by_code * (1 - codes**2)


def _log_softmax(similarities: Matrix) -> Matrix:
    """Return the logarithms of the softmax of each row, without the diagonal, which is -inf."""
    np.fill_diagonal(similarities, -np.inf)
    similarities -= similarities.max(axis=1, keepdims=True)
    logs = similarities - np.log(np.exp(similarities).sum(axis=1, keepdims=True))
    return np.asarray(logs)


def distill(vectors: Matrix, weights: Matrix, seed: int, steps: int) -> Matrix:
    """Lower `distillation_loss` by Adam with a cosine schedule.

    Args:
        vectors: (n, d), whitened and of unit length.
        weights: (d, bits), where to start.
        seed: Seed of the batches.
        steps: Number of batches.

    Returns:
        The learned weights, (d, bits).
    """
    size = max(float(np.abs(vectors @ weights).mean()), 1e-12)
    momentum, squares = np.zeros_like(weights), np.zeros_like(weights)
    for step, batch in enumerate(_batches(vectors, seed, steps), start=1):
        rows = vectors[batch]
        _, by_projection = distillation_loss(rows @ weights / size, rows)
        gradient = rows.T @ by_projection / size
        momentum = 0.9 * momentum + 0.1 * gradient
        squares = 0.999 * squares + 0.001 * gradient**2
        rate = RATE * 0.5 * (1 + np.cos(np.pi * (step - 1) / steps))
        root = np.sqrt(squares / (1 - 0.999**step)) + 1e-8
        weights = weights - rate * momentum / (1 - 0.9**step) / root
    return weights


def _batches(vectors: Matrix, seed: int, steps: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of random vectors and their nearest neighbors."""
    rng = np.random.default_rng(seed)
    if not steps:
        return
    near = _neighbors(vectors, min(NEIGHBORS, len(vectors) - 1))
    for _ in range(steps):
        count = min(BATCH // (NEIGHBORS + 1), len(vectors))
        chosen = rng.choice(len(vectors), count, replace=False)
        yield np.unique(np.concatenate([chosen, near[chosen].ravel()]))


def _neighbors(vectors: Matrix, count: int, rows: int = 1024) -> NDArray[np.int64]:
    """Return the numbers of the `count` other vectors of largest cosine, (n, count)."""
    small = vectors.astype(np.float32)
    found = np.empty((len(small), count), np.int64)
    for start in range(0, len(small), rows):
        cosines = small[start : start + rows] @ small.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        found[start : start + rows] = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    return found
