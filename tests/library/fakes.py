"""Fake detector and embedders without weights, importable by worker processes."""

import functools
import os
from dataclasses import dataclass

import numpy as np

from facehash.errors import InputError
from facehash.images.face import Face
from facehash.images.read import resize
from facehash.pipeline import PipelineSpec

SIDE = 16
DEADLY = (255, 0, 255)
"""A first pixel of this color ends the process that reads the photo."""
CHOKING = (255, 255, 0)
"""A first pixel of this color makes the detector raise an error."""


class Halves:
    """Finds two faces in a photo twice as wide as high, the left one larger; none in black."""

    identity = "halves"

    def detect(self, image):
        height, width = image.shape[:2]
        if tuple(image[0, 0]) == DEADLY:
            os._exit(9)
        if tuple(image[0, 0]) == CHOKING:
            raise RuntimeError("choked")
        if not image.any():
            return []
        if width < 2 * height:
            landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
            return [Face((0.0, 0.0, float(width), float(height)), landmarks, 0.9)]
        half = width / 2
        return [
            Face((0.0, 0.0, half, float(height)), None, 0.9),
            Face((half, 1.0, half, height - 1.0), None, 0.8),
        ]


@functools.cache
def _directions(pixels, dimension):
    return np.random.default_rng(0).normal(size=(pixels, dimension)).astype(np.float32)


@dataclass(frozen=True)
class Projection:
    """A random projection of the pixels, as vectors or as their signs."""

    dimension: int
    metric: str = "cosine"
    crop: str = "box"
    side: int = SIDE
    light: bool = False

    @property
    def identity(self):
        return f"projection {self.dimension} {self.metric}"

    def embed(self, faces):
        flat = faces.reshape(len(faces), -1).astype(np.float32) / 255 - 0.5
        # Not BLAS: its threads wait for each other, and its rounding depends on the batch size.
        rows = np.einsum("np,pd->nd", flat, _directions(flat.shape[1], self.dimension))
        if self.metric == "hamming":
            return np.packbits(rows >= 0, axis=1, bitorder="little")
        # A face of only this color gets a vector that is not finite.
        rows[(faces == 77).all(axis=(1, 2, 3))] = np.nan
        return rows.astype(np.float32)


class Projecting(Projection):
    """A network of codes that also has their projections."""

    projects = True

    def project(self, faces):
        vectors = Projection(self.dimension, "euclidean").embed(faces)
        return self.embed(faces), vectors


def make_detector(name):
    if name != "halves":
        raise InputError(f"--detector {name}: no such detector")
    return Halves()


def make_embedder(name):
    """Make ``cosine:12``, ``euclidean:12``, ``hamming:12`` or ``projecting:12``."""
    metric, _, dimension = name.partition(":")
    if metric == "projecting":
        return Projecting(int(dimension), "hamming")
    if metric not in ("cosine", "euclidean", "hamming"):
        raise InputError(f"--embedder {name}: no such embedder")
    # Workers embed the faces for one metric; the main process does for the others.
    return Projection(int(dimension), metric, light=metric == "euclidean")


def crop_face(image, face, crop, side):
    x, y, width, height = (round(value) for value in face.box)
    return resize(image[y : y + height, x : x + width], side)


def make_pipeline(detector, embedder):
    # The default names mean these fakes.
    names = {"yunet": "halves", "sface": "cosine:12"}
    return PipelineSpec(
        names.get(detector, detector),
        names.get(embedder, embedder),
        make_detector,
        make_embedder,
        crop_face,
    )
