"""Learned face hashing: train DDH and DCBH, score their codes honestly, search photos with them.

Importing this package is instant and has no side effect; each room is imported by its own name,
for example ``from facehash.retrieval import metrics``.
"""

__version__ = "0.1.0"
