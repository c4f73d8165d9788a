"""Reading a photo: its digest, its faces and their crops."""

import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facehash.files import FileState
from facehash.images.dates import date_taken
from facehash.images.face import Face
from facehash.images.read import MAX_FILE_BYTES, UnreadableImageError, decode_photo, open_picture
from facehash.images.video import MAX_VIDEO_BYTES, Video, digest_of, is_video
from facehash.library.ingest.tracks import MOST_TRACKS, Track, Tracker
from facehash.pipeline import FaceCropper, PipelineSpec
from facehash.vectors import Space

_SHOWN_SIDE = 112
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class ReadOptions:
    """How photos are read; passed to worker processes."""

    spec: PipelineSpec
    crop: str  # how the embedder expects its faces to be cropped
    side: int  # height and width of the crops, in pixels
    embed: bool = False  # whether the process that reads a photo also embeds its faces
    frames_per_second: float = 1.0  # of videos


@dataclass(frozen=True)
class ReadPhoto:
    """The content of a photo, or the reason why it could not be read.

    The reason is that of an `UnreadableImageError`, ``detector``, ``embedder`` or ``crashed``.
    """

    path: Path
    state: FileState
    digest: bytes | None = None  # SHA-256 of the content
    size: tuple[int, int] | None = None  # width and height of the upright photo
    faces: tuple[Face, ...] = ()  # largest first
    crops: NDArray[np.uint8] | None = None  # (faces, side, side, 3), RGB
    rows: NDArray[Any] | None = None  # (faces, width); None if they are not embedded yet
    reason: str | None = None
    detail: str | None = None  # the reason as a message, without the path, which may change
    damage: str | None = None  # what is missing, in words, of a photo that was read nevertheless
    scale: float = 1.0  # pixels of the photo per pixel that was decoded, see `Photo.scale`
    known: bool = False  # the content was known and therefore not decoded
    seconds: float | None = None  # length of a video
    taken: datetime | None = None  # when, in the time of the camera; None if the file does not say
    # Of each face in a video: when its frame is, and when it was seen first and last.
    times: tuple[tuple[float, float, float], ...] = ()


class PhotoReader:
    """Reads photos with its own detector, and with its own embedder if the options request it."""

    def __init__(self, options: ReadOptions, known: Collection[bytes]) -> None:
        """Make the detector and, if needed, the embedder; `known` contents are not decoded."""
        self.start(known)
        spec = options.spec
        detector = spec.make_detector(spec.detector)
        self._cropper = FaceCropper(detector, spec.crop_face, options.crop, options.side)
        self._embedder = spec.make_embedder(spec.embedder) if options.embed else None
        self._options = options

    @property
    def identities(self) -> tuple[str, str | None]:
        """Identities of the detector and, if there is one, of the embedder."""
        embedder = None if self._embedder is None else self._embedder.identity
        return self._cropper.detector.identity, embedder

    def start(self, known: Collection[bytes]) -> None:
        """Forget the contents that were read; from now on `known` ones are not decoded."""
        self._known = set(known)

    def read(self, path: Path, state: FileState) -> ReadPhoto:
        """Read a file. Problems with the file are part of the result and never raised."""
        if is_video(path):
            return self._read_video(path, state)
        try:
            content = _read_bytes(path, state)
        except UnreadableImageError as error:
            return _unread(path, state, None, error.reason, error)
        digest = hashlib.sha256(content).digest()
        if digest in self._known:
            return ReadPhoto(path, state, digest, known=True)
        # Further copies of the same content are not decoded.
        self._known.add(digest)
        try:
            photo = decode_photo(io.BytesIO(content), str(path))
            faces = tuple(self._cropper.find(photo.pixels))
            crops = self._cropper.crop_faces(photo.pixels, faces)
        except UnreadableImageError as error:
            return _unread(path, state, digest, error.reason, error)
        # Detectors may raise anything; a photo that one fails on must not stop the run.
        except Exception as error:
            return _unread(path, state, digest, "detector", error)
        rows = None
        if self._embedder and faces:
            try:
                rows = self._embedder.embed(crops)
            except Exception as error:
                return _unread(path, state, digest, "embedder", error)
        faces = tuple(face.scaled(photo.scale) for face in faces)
        return ReadPhoto(
            path, state, digest, photo.size, faces, crops, rows,
            damage=photo.damage, scale=photo.scale, taken=photo.taken,
        )  # fmt: skip

    def _read_video(self, path: Path, state: FileState) -> ReadPhoto:
        """Find and embed the faces of a video, one for each that stays at nearly one place."""
        if state.size > MAX_VIDEO_BYTES:
            limit = f"{path}: larger than the limit of {MAX_VIDEO_BYTES // 10**9} GB"
            error = UnreadableImageError(limit, "too_large_file")
            return _unread(path, state, None, error.reason, error)
        digest = None
        try:
            digest = digest_of(path)
            if digest in self._known:
                return ReadPhoto(path, state, digest, known=True)
            self._known.add(digest)
            with Video(path) as video:
                tracks = self._tracks(video)
        except UnreadableImageError as error:
            return _unread(path, state, digest, error.reason, error)
        # Detectors, embedders and OpenCV may raise anything, which must not stop the run.
        except Exception as error:
            return _unread(path, state, digest, "detector", error)
        shape = (0, self._cropper.side, self._cropper.side, 3)
        return ReadPhoto(
            path, state, digest, video.size, tuple(one.face for one in tracks),
            np.stack([one.crop for one in tracks]) if tracks else np.empty(shape, np.uint8),
            np.stack([one.row for one in tracks]) if tracks else None,
            damage=video.damage, seconds=video.seconds, taken=date_taken(path),
            times=tuple((one.seconds, one.first, one.last) for one in tracks),
        )  # fmt: skip

    def _tracks(self, video: Video) -> list[Track]:
        # Vectors tell whether two faces are the same, so this process needs the embedder.
        if self._embedder is None:
            self._embedder = self._options.spec.make_embedder(self._options.spec.embedder)
        embedder, rate = self._embedder, self._options.frames_per_second
        space = Space(embedder.metric, embedder.dimension)
        tracker = Tracker(space, embedder.identity, 1 / rate)
        for frame in video.frames(rate):
            faces = self._cropper.find(frame.pixels)
            crops = self._cropper.crop_faces(frame.pixels, faces)
            rows = embedder.embed(crops) if faces else np.empty((0, space.width), space.dtype)
            tracker.add(frame.seconds, faces, crops, rows)
            if len(tracker) > MOST_TRACKS:
                video.damage = f"only {MOST_TRACKS:,} faces were read"
                break
        return tracker.finish()[:MOST_TRACKS]


def unreadable_here(path: Path, state: FileState) -> ReadPhoto | None:
    """Return the result for a file that cannot be opened; None if it can."""
    try:
        with open_picture(path) as file:
            file.read(1)
    except UnreadableImageError as error:
        return _unread(path, state, None, error.reason, error)
    except OSError as error:
        problem = UnreadableImageError(f"{path}: {error.strerror or error}", "unreadable")
        return _unread(path, state, None, problem.reason, problem)
    return None


def encode_jpeg(image: NDArray[np.uint8], side: int = _SHOWN_SIDE) -> bytes:
    """Encode a picture uint8 (height, width, 3) as a JPEG of at most `side` x `side` pixels."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _unread(
    path: Path, state: FileState, digest: bytes | None, reason: str, error: Exception
) -> ReadPhoto:
    """Return the result for a photo that could not be read, with the message in one line."""
    message = " ".join(str(error).removeprefix(f"{path}: ").split())
    if not isinstance(error, UnreadableImageError):
        message = f"{type(error).__name__}: {message}"
    # The message may contain the path again, which need not be valid text.
    detail = message.encode("utf-8", "replace").decode()
    return ReadPhoto(path, state, digest, reason=reason, detail=detail)


def _read_bytes(path: Path, state: FileState) -> bytes:
    content = b""
    if state.size <= MAX_FILE_BYTES:
        with open_picture(path) as file:
            try:
                # The file may have grown since it was scanned.
                content = file.read(MAX_FILE_BYTES + 1)
            except OSError as error:
                message = f"{path}: {error.strerror or error}"
                raise UnreadableImageError(message, "unreadable") from error
    if max(len(content), state.size) > MAX_FILE_BYTES:
        raise UnreadableImageError(
            f"{path}: larger than the limit of {MAX_FILE_BYTES // 10**6} MB", "too_large_file"
        )
    return content
