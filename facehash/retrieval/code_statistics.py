"""How well codes use their bits: balance, dead bits, and correlation of bits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed, bits_from_packed

_ROWS = 8192  # codes that are unpacked at a time


@dataclass(frozen=True)
class CodeStatistics:
    """Bit statistics of a set of codes.

    `correlation` is the mean absolute Pearson correlation over pairs of bits that are not dead, 0
    (independent) to 1 (copies); None with fewer than two such bits.
    """

    ones: NDArray[np.float64]  # (bits,), share of codes in which each bit is 1; 0.5 is balanced
    dead: int  # number of bits that are equal in all codes and carry no information
    correlation: float | None


def code_statistics(packed: Packed, bits: int) -> CodeStatistics:
    """Return the bit statistics of packed codes uint8 (n, ceil(bits / 8)), n at least 1."""
    total = np.zeros(bits, np.int64)
    together = np.zeros((bits, bits), np.float64)  # number of codes with both bits 1
    for start in range(0, len(packed), _ROWS):
        block = bits_from_packed(packed[start : start + _ROWS], bits)  # (rows, bits)
        total += block.sum(axis=0, dtype=np.int64)
        as_float = block.astype(np.float32)  # exact: counts up to 8,192
        together += as_float.T @ as_float
    ones = total / len(packed)
    alive = np.flatnonzero((total > 0) & (total < len(packed)))
    correlation = None
    if len(alive) >= 2:
        shares = ones[alive]
        deviations = np.sqrt(shares * (1 - shares))
        covariance = together[np.ix_(alive, alive)] / len(packed) - np.outer(shares, shares)
        correlations = np.abs(covariance / np.outer(deviations, deviations))
        correlation = float(correlations[np.triu_indices(len(alive), k=1)].mean())
    return CodeStatistics(ones, bits - len(alive), correlation)
