"""The pipeline that computes the codes of a library for faces outside of it."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.detectors.registry import Switch, has_option, with_options
from facehash.embedders.base import Embedder
from facehash.hashing import LinearHash
from facehash.library.derived.codes import encode, read_hasher
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import DATABASE
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, MakePipeline, default_pipeline
from facehash.printing import quoted
from facehash.vectors import Metric


class HashedEmbedder:
    """An embedder of vectors followed by a library's hasher: an embedder of codes.

    Args:
        embedder: Turns faces into vectors.
        hasher: Fitted to the vectors of the library.
        settings: Settings of the library.
    """

    metric: Metric = "hamming"

    def __init__(self, embedder: Embedder, hasher: LinearHash, settings: Settings) -> None:
        self._embedder, self._hasher, self._settings = embedder, hasher, settings
        self.identity = f"{embedder.identity},{settings.codes},seed={settings.seed}"
        self.dimension = hasher.bits
        self.side, self.crop, self.light = embedder.side, embedder.crop, embedder.light

    def embed(self, faces: NDArray[np.uint8]) -> Packed:
        """Encode uint8 (n, side, side, 3) RGB faces as packed codes, uint8 (n, ceil(bits / 8))."""
        return encode(self._hasher, self._embedder.embed(faces), self._settings)


def is_library(directory: Path) -> bool:
    """Return whether a folder is a library."""
    return (directory / DATABASE).is_file()


def open_encoder(directory: Path, make_pipeline: MakePipeline = default_pipeline) -> FacePipeline:
    """Make a pipeline whose rows are the codes that faces would have in a library.

    Args:
        directory: The library.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Raises:
        LibraryError: The library has no codes or is damaged, or its detector or embedder has
            changed.
    """
    with Store.open(directory) as store:
        settings = store.settings()
        hasher = read_hasher(store.database, settings)
    if settings.metric != "hamming" and hasher is None:
        raise LibraryError(
            f"{directory}: has no codes; to compute some: facehash index FOLDER "
            f"--library {quoted(directory)} --codes itq:64"
        )
    pipeline = make_matching(settings, make_pipeline, directory)
    if hasher is None:
        return pipeline
    return dataclasses.replace(
        pipeline, embedder=HashedEmbedder(pipeline.embedder, hasher, settings)
    )


def make_matching(settings: Settings, make_pipeline: MakePipeline, directory: Path) -> FacePipeline:
    """Make the detector and the embedder of a library.

    Raises:
        LibraryError: The weights or settings behind a name have changed.
    """
    pipeline = FacePipeline.create(make_pipeline(settings.detector, settings.embedder))
    for role, current, stored in (
        ("detector", pipeline.detector.identity, settings.detector_identity),
        ("embedder", pipeline.embedder.identity, settings.embedder_identity),
    ):
        if current != stored:
            raise LibraryError(
                f"{directory}: made with the {role} {stored}, which is now {current}; "
                "index the photos into a new library"
            )
    return pipeline


def make_query_pipeline(
    settings: Settings,
    make_pipeline: MakePipeline,
    directory: Path,
    small_faces: Switch | None = None,
) -> FacePipeline:
    """Make the detector and the embedder that search a library.

    The faces of a query are not stored, so their detector may find more than the library's: turned
    faces always, and small ones as asked for.

    Args:
        settings: Settings of the library.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.
        directory: The library, for messages.
        small_faces: Whether to search large photos for small faces. Default: as in the library.

    Raises:
        LibraryError: The weights or settings behind a name have changed.
        InputError: A detector that cannot be asked for small faces.
    """
    pipeline = make_matching(settings, make_pipeline, directory)
    wanted = query_detector(settings, small_faces)
    if wanted == settings.detector:
        return pipeline
    detector = make_pipeline(wanted, settings.embedder).make_detector(wanted)
    return dataclasses.replace(
        pipeline, cropper=dataclasses.replace(pipeline.cropper, detector=detector)
    )


def query_detector(settings: Settings, small_faces: Switch | None = None) -> str:
    """Return the detector of queries, as it is spelled on the command line.

    Arguments and errors are those of `make_query_pipeline`.
    """
    wanted = settings.detector
    if has_option(wanted, "turns"):
        wanted = with_options(wanted, turns="auto")
    return with_options(wanted, tiles=small_faces) if small_faces else wanted
