"""Decoding pictures in a process of its own, which a malicious file may crash or keep busy.

``facehash serve`` decodes uploads and photos here, so that no file can end the server.
"""

import contextlib
import io
import multiprocessing
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.images.face import Face
from facehash.images.read import Photo, UnreadableImageError, decode_photo, read_photo
from facehash.images.video import read_frame
from facehash.library.ingest.read import encode_jpeg
from facehash.pipeline import FaceCropper, PipelineSpec

_SECONDS = 60.0
"""Longest time for one picture."""


@dataclass(frozen=True)
class Preview:
    """A picture reduced for a screen."""

    jpeg: bytes
    size: tuple[int, int]  # width and height of the whole upright picture, in pixels


@dataclass(frozen=True)
class ReadUpload:
    """The faces of an uploaded picture, and a preview of it."""

    faces: tuple[Face, ...]  # largest first, in decoded pixels
    crops: NDArray[np.uint8]  # (n, side, side, 3), RGB
    scale: float  # pixels of the picture per decoded one
    preview: Preview
    damage: str | None  # what is missing of the picture, in words


class IsolatedReader:
    """A process that decodes pictures and finds their faces; it starts with the first picture.

    If a picture ends the process or takes too long, that picture is reported as unreadable and the
    next one gets a new process. Threads take turns.

    Args:
        spec: The detector, and how faces are cropped.
        crop: How the embedder expects its faces to be cropped.
        side: Height and width of the crops, in pixels.
        seconds: Longest time for one picture.

    Example:
        >>> with IsolatedReader(spec, "arcface112", 112) as reader:  # doctest: +SKIP
        ...     upload = reader.read_upload(content, "aunt.jpg", preview_side=1280)
    """

    def __init__(self, spec: PipelineSpec, crop: str, side: int, seconds: float = _SECONDS) -> None:
        self._options = (spec, crop, side)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: Any = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def read_upload(self, content: bytes, name: str, preview_side: int) -> ReadUpload:
        """Decode an uploaded picture, which is nowhere stored, and find its faces.

        Args:
            content: The encoded picture.
            name: What error messages call it.
            preview_side: Longest side of the preview, in pixels.

        Raises:
            UnreadableImageError: It cannot be decoded, ends the process, or takes too long.
            InputError: The detector fails on it.
        """
        found: ReadUpload = self._ask(name, "upload", content, name, preview_side)
        return found

    def preview(
        self, path: Path, digest: bytes, side: int, seconds: float | None = None
    ) -> Preview:
        """Decode a photo of a library, or a frame of a video, and reduce it to `side` pixels.

        Args:
            path: The file.
            digest: SHA-256 of its content; other content is refused before it is decoded.
            side: Longest side of the preview, in pixels.
            seconds: The time of the frame, as stored with a face; None for a photo.

        Raises:
            UnreadableImageError: It cannot be read, ends the process, or takes too long.
        """
        found: Preview = self._ask(path.name, "preview", path, digest, side, seconds)
        return found

    def _ask(self, name: str, task: str, *arguments: Any) -> Any:
        with self._lock:
            connection = self._start()
            try:
                connection.send((task, *arguments))
                if not connection.poll(self._seconds):
                    self._stop()
                    raise UnreadableImageError(
                        f"{name}: takes longer than {self._seconds:.0f} seconds to read"
                    )
                result = connection.recv()
            except (EOFError, OSError) as error:
                self._stop()
                raise UnreadableImageError(
                    f"{name}: damaged picture: the process that read it died"
                ) from error
            except BaseException:
                self._stop()  # its answer must not be taken for that of the next picture
                raise
        if isinstance(result, Exception):
            raise result
        return result

    def _start(self) -> Connection:
        if self._connection is not None and self._process.is_alive():
            return self._connection
        self._stop()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, *self._options), daemon=True)
        self._process.start()
        other.close()
        return self._connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _serve(connection: Connection, spec: PipelineSpec, crop: str, side: int) -> None:
    """Answer until the other end is closed, also by the death of its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cropper: FaceCropper | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            task, *arguments = connection.recv()
            try:
                if task == "preview":
                    answer: object = _preview(*arguments)
                else:
                    if cropper is None:
                        detector = spec.make_detector(spec.detector)
                        cropper = FaceCropper(detector, spec.crop_face, crop, side)
                        _use_one_thread()
                    answer = _upload(cropper, *arguments)
            except InputError as error:
                answer = error
            # Detectors may raise anything.
            except Exception as error:
                answer = InputError(f"{type(error).__name__}: {error}")
            connection.send(answer)


def _use_one_thread() -> None:
    opencv = sys.modules.get("cv2")
    if opencv is not None:
        opencv.setNumThreads(1)


def _upload(cropper: FaceCropper, content: bytes, name: str, side: int) -> ReadUpload:
    photo = decode_photo(io.BytesIO(content), name)
    faces = tuple(cropper.find(photo.pixels))
    crops = cropper.crop_faces(photo.pixels, faces)
    return ReadUpload(faces, crops, photo.scale, _reduced(photo, side), photo.damage)


def _preview(path: Path, digest: bytes, side: int, seconds: float | None) -> Preview:
    photo = read_photo(path, digest) if seconds is None else read_frame(path, seconds, digest)
    return _reduced(photo, side)


def _reduced(photo: Photo, side: int) -> Preview:
    return Preview(encode_jpeg(photo.pixels, side), photo.size)
