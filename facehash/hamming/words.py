"""Packed codes as 64-bit words: the form that is searched and stored."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError, Packed, check_packed, packed_width


@dataclass(frozen=True)
class CodeWords:
    """The codes of a gallery in 64-bit words, first words of all codes first.

    In this order a search reads memory in one direction for every length of code. As a plain,
    contiguous array the words can be mapped from a file and are never copied. Byte b of a word
    holds bits 8 b to 8 b + 7 of its 64, as in packed codes; bits beyond `bits` are 0.

    Raises:
        CodesError: `words` has another dtype, shape or memory order.
    """

    words: NDArray[np.uint64]  # (ceil(bits / 64), n)
    bits: int  # length of a code, 1 to 1,024

    def __post_init__(self) -> None:
        """Check the form of the array, not its codes."""
        height = word_count(self.bits)
        words = self.words
        if words.dtype != np.uint64 or words.ndim != 2 or words.shape[0] != height:
            raise CodesError(
                f"words of {self.bits} bits must be uint64 ({height}, n), "
                f"got {words.dtype} {words.shape}"
            )
        if not (words.flags.c_contiguous and words.flags.aligned):
            raise CodesError("words must be contiguous and aligned")

    @classmethod
    def of(cls, packed: Packed, bits: int, name: str = "packed codes") -> Self:
        """Convert packed codes; contiguous, aligned codes of 57 to 64 bits are not copied.

        Args:
            packed: uint8 (n, ceil(bits / 8)).
            bits: Length of a code, 1 to 1,024.
            name: Name of the codes in error messages.

        Raises:
            CodesError: Another dtype, shape or padding.
        """
        return cls(np.ascontiguousarray(word_rows(check_packed(packed, bits, name)).T), bits)

    def packed(self) -> Packed:
        """Return packed codes uint8 (n, ceil(bits / 8)); beyond 64 bits they are a copy."""
        rows = np.ascontiguousarray(self.words.T).view(np.uint8)
        return rows[:, : packed_width(self.bits)]

    def __len__(self) -> int:
        """Return the number of codes."""
        return int(self.words.shape[1])


def word_count(bits: int) -> int:
    """Return the number of 64-bit words of one code, ceil(bits / 64)."""
    return -(-packed_width(bits) // 8)


def word_rows(packed: Packed) -> NDArray[np.uint64]:
    """Return packed codes as words, code by code, padded with 0.

    Args:
        packed: uint8 (n, bytes).

    Returns:
        uint64 (n, ceil(bytes / 8)), contiguous and aligned; a view if `packed` already is.
    """
    missing = -packed.shape[1] % 8
    padded: NDArray[Any] = np.pad(packed, ((0, 0), (0, missing))) if missing else packed
    return np.require(np.ascontiguousarray(padded).view(np.uint64), requirements=["C", "A"])
