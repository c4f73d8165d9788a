"""The codes of a library, for faces that are not in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.embedders.base import Embedder
from facehash.hashing import LinearHash
from facehash.library.derived.codes import encode, read_hasher
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import DATABASE
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, MakePipeline, default_pipeline
from facehash.vectors import Metric


@dataclass(frozen=True)
class HashedEmbedder:
    """An embedder of vectors with a library's hasher on top: an embedder of codes.

    Attributes:
        embedder: Turns faces into vectors.
        hasher: Fitted to the vectors of a library.
        settings: What that library was made with.
    """

    embedder: Embedder
    hasher: LinearHash
    settings: Settings

    metric: Metric = "hamming"

    @property
    def identity(self) -> str:
        """That of the embedder, and the codes with their seed."""
        return f"{self.embedder.identity},{self.settings.codes},seed={self.settings.seed}"

    @property
    def dimension(self) -> int:
        """Bits of a code."""
        return self.hasher.bits

    @property
    def light(self) -> bool:
        """Whether every process may have one of its own."""
        return self.embedder.light

    @property
    def side(self) -> int:
        """Height and width in pixels of the faces that `embed` takes."""
        return self.embedder.side

    @property
    def crop(self) -> str:
        """How faces are to be cropped."""
        return self.embedder.crop

    def embed(self, faces: NDArray[np.uint8]) -> Packed:
        """Encode uint8 (n, side, side, 3) RGB faces as packed codes, uint8 (n, bytes)."""
        return encode(self.hasher, self.embedder.embed(faces), self.settings)


def is_library(directory: Path) -> bool:
    """Say whether a folder is a library."""
    return (directory / DATABASE).is_file()


def open_encoder(directory: Path, make_pipeline: MakePipeline = default_pipeline) -> FacePipeline:
    """Make a pipeline whose rows are the codes that faces would have in a library.

    Args:
        directory: The library.
        make_pipeline: Makes detector and embedder of their names.

    Raises:
        LibraryError: It has no codes, is damaged, or its embedder is not what it was made with.
    """
    with Store.open(directory) as store:
        settings = store.settings()
        hasher = read_hasher(store.database, settings)
    if settings.metric != "hamming" and hasher is None:
        raise LibraryError(
            f"{directory}: has no codes; facehash index FOLDER --library {directory} "
            "--codes lsh:64 makes some of its vectors"
        )
    pipeline = make_matching(settings, make_pipeline, directory)
    if hasher is None:
        return pipeline
    embedder = HashedEmbedder(pipeline.embedder, hasher, settings)
    return dataclasses.replace(pipeline, embedder=embedder)


def make_matching(settings: Settings, make_pipeline: MakePipeline, directory: Path) -> FacePipeline:
    """Make the detector and the embedder that a library was made with.

    Raises:
        LibraryError: Other weights or settings hide behind the same name; both are named.
    """
    pipeline = FacePipeline.create(make_pipeline(settings.detector, settings.embedder))
    for what, now, then in (
        ("detector", pipeline.detector.identity, settings.detector_identity),
        ("embedder", pipeline.embedder.identity, settings.embedder_identity),
    ):
        if now != then:
            raise LibraryError(
                f"{directory}: made with the {what} {then}, which is now {now}; "
                "index the photos into a new library"
            )
    return pipeline
