"""Hash float vectors without a network: random hyperplanes, and iterative quantization."""

from facehash.hashing.itq import IterativeQuantization
from facehash.hashing.linear import LinearHash
from facehash.hashing.lsh import RandomHyperplanes
from facehash.hashing.ndh import NeighborhoodDistillation
from facehash.hashing.witq import WhitenedITQ

HASHERS: dict[str, type[LinearHash]] = {"lsh": RandomHyperplanes, "itq": IterativeQuantization}
"""Hash methods that need no labels, by the names that commands and tables use."""

LABELED_HASHERS: dict[str, type[WhitenedITQ] | type[NeighborhoodDistillation]] = {
    "witq": WhitenedITQ,
    "ndh": NeighborhoodDistillation,
}
"""Hash methods that are fitted to vectors of people with labels, by the names in tables."""

__all__ = [
    "HASHERS",
    "LABELED_HASHERS",
    "IterativeQuantization",
    "LinearHash",
    "NeighborhoodDistillation",
    "RandomHyperplanes",
    "WhitenedITQ",
]
