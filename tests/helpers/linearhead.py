"""The method for vectors that docs/own_method.md shows, importable, and data for it."""

from __future__ import annotations

import functools
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from facehash.dataset import FaceDataset
from tests.conftest import ROOT

FILES = ("options.py", "model.py", "vectors.yaml")
_FOLDERS = []  # deleted when the process ends


@functools.cache
def install() -> Path:
    """Write the files of the document to a folder on the Python path of this process."""
    text = (ROOT / "docs" / "own_method.md").read_text(encoding="utf-8")
    _FOLDERS.append(tempfile.TemporaryDirectory())
    root = Path(_FOLDERS[0].name)
    (root / "linearhead").mkdir()
    for name in FILES:
        block = re.search(rf"`linearhead/{re.escape(name)}`.*?```\w+\n(.*?)```", text, re.DOTALL)
        (root / "linearhead" / name).write_text(block[1], encoding="utf-8")
    sys.path.insert(0, str(root))
    return root


def draw_vectors(people: int = 8, each: int = 9, dimension: int = 16):
    """Draw vectors float32 (n, d) around a common mean, sorted by person, and their labels."""
    rng = np.random.default_rng(20191)
    centers = rng.normal(size=(people, dimension)) + rng.normal(size=dimension) * 3
    labels = np.repeat(np.arange(people), each)
    vectors = centers[labels] + rng.normal(size=(len(labels), dimension)) * 0.5
    return vectors.astype(np.float32), labels


def vector_faces(**changes) -> FaceDataset:
    """Eight people with nine vectors each; the last two of each are queries."""
    vectors, labels = draw_vectors()
    rows = np.arange(len(labels))
    known = rows[rows % 9 < 7]
    fields = {
        "name": "vectors",
        "images": None,
        "vectors": vectors,
        "labels": labels,
        "identities": tuple("abcdefgh"),
        "train": known,
        "gallery": known,
        "query": rows[rows % 9 >= 7],
        "protocol": "seen",
    }
    return FaceDataset(**(fields | changes)).check()
