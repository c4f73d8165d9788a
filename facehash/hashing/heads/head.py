"""Learned hash functions for the vectors of one embedder, and how they are adapted to a library."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.files import atomic_write
from facehash.hashing.itq import principal_components, rotation
from facehash.hashing.linear import LinearHash, Vectors, check_collection
from facehash.hashing.witq import unit

FORMAT = 1
# Weight of the head's hyperplanes among the vectors of a library: decides only where these do not.
_FAINT = 0.01
# Weight of the head's mean, in vectors: the mean of a few faces is a poor one.
_MEANS = 10

HEADS = {
    # The weights of SFace that `facehash weights fetch sface` brings.
    "sface:sha256=0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79": "sface.npz",
}
"""File of each head, beside this module, by the identity of the embedder it was learned for."""


class LearnedHash(LinearHash):
    """The hyperplanes of a head, unchanged: codes of two libraries are comparable."""

    name = "learned"


class AdaptedHash(LinearHash):
    """The hyperplanes of a head, adapted to the vectors of a library."""

    name = "adapted"


@dataclass(frozen=True)
class Head:
    """Hyperplanes of several lengths for the vectors of one embedder.

    `facehash.hashing.WhitenedITQ` was fitted to faces of people with labels. The head holds
    statistics of these faces, no vector of anybody.

    Attributes:
        mean: float32 (d,), the mean vector of these faces.
        adapting: float32 (d, d), what whitens the vectors of a library, see
            `facehash.hashing.witq.adapting_whitening`.
        projections: By number of bits, float32 (d, bits).
        scales: By number of bits, float32 (bits,), see `LinearHash`.

    Example:
        >>> head = find_head(next(iter(HEADS)))
        >>> head.lengths
        (32, 64, 128)
        >>> vectors = np.random.default_rng(0).normal(size=(100, 128)).astype(np.float32)
        >>> head.learned(64).encode(vectors).shape  # packed
        (100, 8)
        >>> head.adapted(32, vectors, seed=0).encode(vectors).shape
        (100, 4)
    """

    mean: Vectors
    adapting: Vectors
    projections: Mapping[int, Vectors]
    scales: Mapping[int, Vectors]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of bits of its codes, shortest first."""
        return tuple(sorted(self.projections))

    def learned(self, bits: int) -> LearnedHash:
        """Return the hash as it was learned.

        Raises:
            CodesError: The head has no codes of this length.
        """
        self.check(bits, LearnedHash.name)
        return LearnedHash(self.mean, self.projections[bits], self.scales[bits])

    def adapted(self, bits: int, vectors: ArrayLike, seed: int) -> AdaptedHash:
        """Adapt the hash to the vectors of a library, without labels.

        The hyperplanes are those of ITQ of the library's vectors after the matrix `adapting`, as
        `facehash.hashing.WhitenedITQ` fits them; in directions in which few vectors do not differ,
        they are those of the head. The mean is that of the library and of ten vectors at the mean
        of the head.

        Args:
            bits: Length of a code, one of `lengths`.
            vectors: Finite real numbers (n, d), at least two rows, as the embedder made them and
                of length 1 if they are compared by cosine.
            seed: Seed of the first rotation, at least 0; the same vectors and seed give the same
                codes.

        Raises:
            CodesError: The head has no codes of this length, or vectors of another shape, not
                finite, or fewer than two.
        """
        self.check(bits, AdaptedHash.name)
        rows = check_collection(vectors, bits, AdaptedHash.name)
        if rows.shape[1] != len(self.mean):
            raise CodesError(
                f"adapted: learned for vectors of length {len(self.mean)}, got {rows.shape[1]}"
            )
        own, adapting = self.mean.astype(np.float64), self.adapting.astype(np.float64)
        mean = (rows.sum(axis=0) + _MEANS * own) / (len(rows) + _MEANS)  # (d,)
        whitened = unit(unit(rows - mean) @ adapting)  # (n, d)
        learned = np.asarray(np.linalg.solve(adapting, self.projections[bits]), np.float64)
        known = np.concatenate([whitened, _FAINT * unit(learned.T)])  # (n + bits, d)
        components = principal_components(known, bits)  # (d, bits)
        weights = components @ rotation(whitened @ components, seed)
        return AdaptedHash(mean, adapting @ weights).with_scale(rows)

    def check(self, bits: int, name: str) -> None:
        """Raise CodesError, for hash functions called `name`, if the head has no such codes."""
        if bits not in self.projections:
            *others, last = map(str, self.lengths)
            raise CodesError(f"{name} codes have {', '.join(others)} or {last} bits")

    def write(self, path: Path) -> None:
        """Write the head to an .npz file, in half precision; the same head gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "format": np.array(FORMAT),
            "mean": self.mean.astype(np.float16),
            "adapting": self.adapting.astype(np.float16),
        }
        for bits in self.lengths:
            arrays[f"projection_{bits}"] = self.projections[bits].astype(np.float16)
            arrays[f"scale_{bits}"] = self.scales[bits].astype(np.float32)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            CodesError: The format is newer.
        """
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        version = int(arrays.pop("format"))
        if version > FORMAT:
            raise CodesError(
                f"{path}: a head of format {version}, this facehash reads up to {FORMAT}; "
                "upgrade facehash"
            )
        single = {name: array.astype(np.float32) for name, array in arrays.items()}

        def by_length(prefix: str) -> dict[int, Vectors]:
            return {
                int(name.removeprefix(prefix)): array
                for name, array in single.items()
                if name.startswith(prefix)
            }

        return cls(
            single["mean"], single["adapting"], by_length("projection_"), by_length("scale_")
        )


def find_head(embedder: str) -> Head | None:
    """Return the head for the vectors of an embedder, None if there is none.

    Args:
        embedder: The identity of the embedder (see `facehash.embedders.base.Embedder`), which names
            the SHA-256 of its weights.
    """
    file = HEADS.get(embedder)
    return None if file is None else _read(Path(__file__).parent / file)


_read = functools.cache(Head.read)
