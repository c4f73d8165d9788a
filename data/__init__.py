"""Data sets of faces for research: every loader returns a checked `facehash.dataset.FaceDataset`.

Example:
    >>> from pathlib import Path
    >>> import data
    >>> faces = data.load("orl", loader=None, source=data.find_orl(), side=32,
    ...                   seed=0, queries_per_identity=3)
    >>> len(faces.train), len(faces.query)
    (280, 120)
"""

from data.loading import KNOWN, LOADERS, load, load_faces, resolve_source
from data.orl import find_orl

__all__ = ["KNOWN", "LOADERS", "find_orl", "load", "load_faces", "resolve_source"]
