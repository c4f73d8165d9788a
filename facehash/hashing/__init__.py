"""Hash float vectors without a network: random hyperplanes, and iterative quantization."""

from facehash.hashing.itq import IterativeQuantization
from facehash.hashing.linear import LinearHash
from facehash.hashing.lsh import RandomHyperplanes
from facehash.hashing.ndh import NeighborhoodDistillation
from facehash.hashing.witq import WhitenedITQ

HASHERS: dict[str, type[LinearHash]] = {"lsh": RandomHyperplanes, "itq": IterativeQuantization}
"""Hash methods that need no labels, by the names that commands and tables use."""

__all__ = [
    "HASHERS",
    "IterativeQuantization",
    "LinearHash",
    "NeighborhoodDistillation",
    "RandomHyperplanes",
    "WhitenedITQ",
]
