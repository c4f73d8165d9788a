"""The hash functions of a library, by name: what ``--codes`` of commands accepts."""

from numpy.typing import ArrayLike

from facehash.codes import CodesError, check_length
from facehash.hashing import HASHERS
from facehash.hashing.heads.head import HEADS, AdaptedHash, Head, LearnedHash, find_head
from facehash.hashing.linear import LinearHash

LIBRARY_HASHERS: dict[str, type[LinearHash]] = {
    **HASHERS,
    "learned": LearnedHash,
    "adapted": AdaptedHash,
}
"""Hash functions of a library, which are fitted to its vectors, or come with facehash (learned)."""


def usual_hashers(embedder: str) -> tuple[str, ...]:
    """Return the hash functions that exist for the vectors of an embedder, by its identity."""
    return ("itq", "lsh", "learned", "adapted") if find_head(embedder) else ("itq", "lsh")


def check_hasher(name: str, bits: int, dimension: int, embedder: str) -> None:
    """Check that a hash function can make codes of this length of an embedder's vectors.

    Args:
        name: A key of `LIBRARY_HASHERS`.
        bits: Length of a code.
        dimension: Length of a vector.
        embedder: The identity of the embedder.

    Raises:
        CodesError: It cannot; the message says what it can.
    """
    check_length(bits)
    if name in ("learned", "adapted"):
        _head_for(name, embedder).check(bits, name)
    elif name == "itq" and bits > dimension:
        raise CodesError(
            f"at most one bit per dimension, and vectors have {dimension} dimensions "
            "(lsh has no such limit)"
        )


def fit_hasher(name: str, vectors: ArrayLike, bits: int, seed: int, embedder: str) -> LinearHash:
    """Fit a hash function to the vectors of a library.

    Args:
        name: A key of `LIBRARY_HASHERS`. ``learned`` comes with facehash, and does not depend on
            the vectors.
        vectors: Finite real numbers (n, d), at least two rows; of length 1 if they are compared by
            cosine.
        bits: Length of a code.
        seed: At least 0.
        embedder: The identity of the embedder that made the vectors.

    Raises:
        CodesError: Vectors of another shape, not finite, or fewer than two; or codes that
            `check_hasher` refuses.
    """
    if name in HASHERS:
        return HASHERS[name].fit(vectors, bits, seed)
    head = _head_for(name, embedder)
    return head.learned(bits) if name == "learned" else head.adapted(bits, vectors, seed)


def _head_for(name: str, embedder: str) -> Head:
    head = find_head(embedder)
    if head is None:
        known = " and ".join(f"{one.partition(':')[0]} ({one[-64:][:8]}...)" for one in HEADS)
        raise CodesError(f"{name} codes exist for vectors of {known} only, not of {embedder}")
    return head
