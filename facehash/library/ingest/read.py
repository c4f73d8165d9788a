"""Reading a photo: its digest, its faces and their crops, in this process or in several."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facehash.files import FileState
from facehash.images.face import Face
from facehash.images.read import (
    MAX_FILE_BYTES,
    UnreadableImageError,
    decode_image,
    open_picture,
)
from facehash.pipeline import FaceCropper, PipelineSpec

_SHOWN_SIDE = 112
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class ReadOptions:
    """How photos are read; travels to worker processes.

    Attributes:
        spec: Makes the detector and the embedder, and crops faces.
        crop: How the embedder expects its faces to be cropped.
        side: Height and width of the crops, in pixels.
        embed: Whether faces are embedded in the process that reads the photo.
    """

    spec: PipelineSpec
    crop: str
    side: int
    embed: bool = False


@dataclass(frozen=True)
class ReadPhoto:
    """What was found in a file.

    Attributes:
        path: The file.
        state: Its size and time of change.
        digest: SHA-256 of its content, None where it could not be opened.
        size: Width and height of the upright photo; None where it was not decoded.
        faces: The faces, largest first.
        crops: uint8 (faces, side, side, 3), RGB.
        rows: What the embedder made of them, (faces, width); None where it has not seen them.
        reason: Why it could not be read: the reason of an `UnreadableImageError`, ``detector`` or
            ``embedder`` or ``crashed``; None if it was.
        detail: The same in words, without the path, which may change.
        known: The content was known, so that it was not decoded.
    """

    path: Path
    state: FileState
    digest: bytes | None = None
    size: tuple[int, int] | None = None
    faces: tuple[Face, ...] = ()
    crops: NDArray[np.uint8] | None = None
    rows: NDArray[Any] | None = None
    reason: str | None = None
    detail: str | None = None
    known: bool = False


class PhotoReader:
    """Reads photos with a detector of its own, and with an embedder if the options say so."""

    def __init__(self, options: ReadOptions, known: Collection[bytes]) -> None:
        """Make the detector and, if needed, the embedder.

        Args:
            options: How photos are read.
            known: Digests of contents that need not be decoded.
        """
        self._known = set(known)
        spec = options.spec
        detector = spec.make_detector(spec.detector)
        self._cropper = FaceCropper(detector, spec.crop_face, options.crop, options.side)
        self._embedder = spec.make_embedder(spec.embedder) if options.embed else None

    def read(self, path: Path, state: FileState) -> ReadPhoto:
        """Read a file; whatever is wrong with it is told in the result, never raised."""
        try:
            content = _read_bytes(path, state)
        except UnreadableImageError as error:
            return ReadPhoto(path, state, reason=error.reason, detail=_words(path, error))
        digest = hashlib.sha256(content).digest()
        if digest in self._known:
            return ReadPhoto(path, state, digest, known=True)
        # A second copy of the same content is not decoded either.
        self._known.add(digest)
        try:
            image = decode_image(io.BytesIO(content), str(path))
            faces = tuple(self._cropper.find(image))
            crops = self._cropper.crop_faces(image, faces)
        except UnreadableImageError as error:
            return ReadPhoto(path, state, digest, reason=error.reason, detail=_words(path, error))
        # Networks are other people's code; one photo that they choke on must not stop the rest.
        except Exception as error:
            detail = f"{type(error).__name__}: {_words(path, error)}"
            return ReadPhoto(path, state, digest, reason="detector", detail=detail)
        rows = None
        if self._embedder and faces:
            try:
                rows = self._embedder.embed(crops)
            except Exception as error:
                detail = f"{type(error).__name__}: {_words(path, error)}"
                return ReadPhoto(path, state, digest, reason="embedder", detail=detail)
        height, width = image.shape[:2]
        return ReadPhoto(path, state, digest, (width, height), faces, crops, rows)


def quality(face: Face, side: int) -> float:
    """Say how much a face can be trusted: its score, less where the photo shows it small.

    score * min(1, shorter side of the box / side of the crop): below the second limit the crop is
    enlarged and holds less than the embedder was made for.

    Args:
        face: A face as it was found.
        side: Height and width in pixels of the crop made of it.

    Returns:
        0 to 1.
    """
    return float(np.clip(face.score * min(1.0, min(face.box[2:]) / side), 0, 1))


def encode_jpeg(image: NDArray[np.uint8], side: int = _SHOWN_SIDE) -> bytes:
    """Encode a picture uint8 (height, width, 3) as a JPEG of at most `side` pixels a side."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _words(path: Path, error: Exception) -> str:
    """Return what an error says in one line of text, without the path it begins with."""
    words = " ".join(str(error).removeprefix(f"{path}: ").split())
    # A path that is not text may be in it once more.
    return words.encode("utf-8", "replace").decode()


def _read_bytes(path: Path, state: FileState) -> bytes:
    content = b""
    if state.size <= MAX_FILE_BYTES:
        with open_picture(path) as file:
            try:
                # It may have grown since its size was looked at.
                content = file.read(MAX_FILE_BYTES + 1)
            except OSError as error:
                told = f"{path}: {error.strerror or error}"
                raise UnreadableImageError(told, "unreadable") from error
    if max(len(content), state.size) > MAX_FILE_BYTES:
        raise UnreadableImageError(
            f"{path}: larger than the {MAX_FILE_BYTES // 10**6} MB that are read of a file",
            "too_large_file",
        )
    return content
