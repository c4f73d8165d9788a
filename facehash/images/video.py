"""Reading frames of videos, through OpenCV and its FFmpeg."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from facehash.images.read import (
    MAX_PIXELS,
    Photo,
    UnreadableImageError,
    open_picture,
)

_SUFFIXES = ".3g2 .3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv"
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""File name endings of videos, in lower case."""

MAX_VIDEO_BYTES = 64_000_000_000
"""Larger files are refused before they are read."""

MAX_FRAMES = 40_000
"""Frames that are taken of a video: eleven hours at one per second. The rest is not read."""

MAX_DECODED = 5_000_000
"""Frames that are decoded of a video: 23 hours at 60 per second. The rest is not read."""

# How containers begin. FFmpeg also plays lists of other files and addresses, which are refused.
_BEGINNINGS = {
    4: (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"),
    0: (
        b"RIFF", b"\x1aE\xdf\xa3", b"FLV", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\1\xba",
        b"\0\0\1\xb3", b"G",
    ),
}  # fmt: skip


class Frame(NamedTuple):
    """A frame of a video."""

    seconds: float  # from the beginning, a whole number of milliseconds
    pixels: NDArray[np.uint8]  # (height, width, 3), upright RGB


class Video:
    """An open video.

    Args:
        path: The file.

    Attributes:
        size: Width and height of the upright frames, in pixels; known after the first frame.
        seconds: The time of the last frame that was decoded.
        damage: What was not read, in words, after the last frame; None if everything was.

    Raises:
        UnreadableImageError: Not a video in a known format, damaged, or over a limit.

    Example:
        >>> with Video(Path("clip.mp4")) as video:  # doctest: +SKIP
        ...     times = [frame.seconds for frame in video.frames(1.0)]
        >>> times  # doctest: +SKIP
        [0.0, 1.0, 2.0]
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _check(path)
        self._capture: Any = _open(path)
        self.size: tuple[int, int] | None = None
        self.seconds = 0.0
        self.damage: str | None = None
        width, height = (self._get(name) for name in ("FRAME_WIDTH", "FRAME_HEIGHT"))
        if width * height > MAX_PIXELS:
            self.close()
            raise UnreadableImageError(
                f"{path}: {width:.0f} x {height:.0f} pixels exceed the limit of "
                f"{MAX_PIXELS // 10**6} million",
                "too_many_pixels",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def frames(self, per_second: float = 1.0) -> Iterator[Frame]:
        """Yield the first frame of each period of 1 / `per_second` seconds.

        Args:
            per_second: Frames per second, above 0; at most all frames are returned.

        Raises:
            UnreadableImageError: Not a single frame can be decoded.
        """
        last, taken, decoded = -1, 0, 0
        rate = self._get("FPS")
        for decoded in range(1, MAX_DECODED + 1):
            if not self._grab():
                decoded -= 1
                break
            # Some videos have no times of their own.
            now = self._position() if decoded > 1 else 0.0
            self.seconds = now if now or decoded == 1 or not rate > 0 else (decoded - 1) / rate
            period = int(self.seconds * per_second + 1e-6)
            if period <= last:
                continue
            last = period
            pixels = self._pixels()
            if pixels is None:
                continue
            taken += 1
            yield Frame(self.seconds, pixels)
            if taken == MAX_FRAMES:
                self.damage = f"only the first {MAX_FRAMES:,} frames were read"
                return
        if not taken:
            raise UnreadableImageError(
                f"{self._path}: damaged video: no frame can be decoded", "damaged"
            )
        expected = self._get("FRAME_COUNT")
        # The number in the header is an estimate in some formats.
        if decoded == MAX_DECODED or (0 < expected < 1e9 and decoded < 0.9 * expected - 2):
            self.damage = f"cut off: it was read to {format_time(self.seconds)}"

    def frame_at(self, seconds: float) -> NDArray[np.uint8]:
        """Return the frame at a time that `frames` gave, uint8 (height, width, 3).

        Raises:
            UnreadableImageError: There is no such frame.
        """
        import cv2

        self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * seconds)
        if seconds and self._grab() and self._position() > seconds + 0.0005:
            # The position was not exact; the frame is found from the beginning.
            self._capture.release()
            self._capture = _open(self._path)
        elif seconds and abs(self._position() - seconds) <= 0.0005:
            return self._decoded(seconds)
        for _ in range(MAX_DECODED):
            if not self._grab() or self._position() > seconds + 0.0005:
                break
            if abs(self._position() - seconds) <= 0.0005:
                return self._decoded(seconds)
        raise UnreadableImageError(
            f"{self._path}: has no frame at {format_time(seconds)}", "damaged"
        )

    def _decoded(self, seconds: float) -> NDArray[np.uint8]:
        pixels = self._pixels()
        if pixels is None:
            raise UnreadableImageError(
                f"{self._path}: the frame at {format_time(seconds)} is damaged", "damaged"
            )
        return pixels

    def _get(self, name: str) -> float:
        import cv2

        return float(self._capture.get(getattr(cv2, f"CAP_PROP_{name}")))

    def _grab(self) -> bool:
        return bool(self._capture.grab())

    def _position(self) -> float:
        """Return the time of the current frame in seconds, to a millisecond."""
        found = self._get("POS_MSEC")
        return round(found) / 1000 if 0 <= found < 1e9 else 0.0

    def _pixels(self) -> NDArray[np.uint8] | None:
        done, bgr = self._capture.retrieve()
        if not done or bgr is None or bgr.ndim != 3 or bgr.shape[2] != 3:
            return None
        height, width = bgr.shape[:2]
        if self.size not in (None, (width, height)):
            return None  # boxes are relative to one size
        self.size = (width, height)
        return np.ascontiguousarray(bgr[:, :, ::-1])


def is_video(path: Path) -> bool:
    """Return whether a file has the name of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def format_time(seconds: float) -> str:
    """Return a time in a video as hours, minutes and seconds.

    Example:
        >>> format_time(83.4)
        '00:01:23'
    """
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file of any size.

    Raises:
        UnreadableImageError: The file cannot be read.
    """
    with open_picture(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            message = f"{path}: {error.strerror or error}"
            raise UnreadableImageError(message, "unreadable") from error


def read_frame(path: Path, seconds: float, sha256: bytes | None = None) -> Photo:
    """Read a frame of a video.

    Args:
        path: The file.
        seconds: The time of the frame, as stored with a face.
        sha256: Expected digest of the content of the file.

    Raises:
        UnreadableImageError: The video cannot be read, has changed, or has no such frame.
    """
    if sha256 is not None:
        try:
            found = path.stat()
        except OSError as error:
            message = f"{path}: {error.strerror or error}"
            raise UnreadableImageError(message, "missing") from error
        if _known_digest(path, found.st_size, found.st_mtime_ns) != sha256:
            raise UnreadableImageError(f"{path}: the video has changed", "changed")
    with Video(path) as video:
        pixels = video.frame_at(seconds)
    return Photo(pixels, (pixels.shape[1], pixels.shape[0]))


@functools.lru_cache(64)
def _known_digest(path: Path, _size: int, _mtime_ns: int) -> bytes:
    """Return the digest of a file; computed once for all frames that are shown of it."""
    return digest_of(path)


def _check(path: Path) -> None:
    """Refuse a file that does not begin like a video, or is too large."""
    with open_picture(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(16)
    if size > MAX_VIDEO_BYTES:
        raise UnreadableImageError(
            f"{path}: {size / 1e9:.0f} GB exceed the limit of {MAX_VIDEO_BYTES // 10**9} GB",
            "too_large_file",
        )
    if not any(start[at:].startswith(known) for at, known in _BEGINNINGS.items()):
        what = "not a video in a known format" if size else "not a video: the file is empty"
        raise UnreadableImageError(f"{path}: {what}", "damaged")


def _open(path: Path) -> Any:
    # FFmpeg prints what is wrong with a file, and may open others that it names.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
    import cv2

    with contextlib.suppress(AttributeError):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    except UnicodeEncodeError as error:
        raise UnreadableImageError(
            f"{path}: the name of a video must be valid text", "unreadable"
        ) from error
    except cv2.error as error:
        raise UnreadableImageError(f"{path}: damaged video", "damaged") from error
    if not capture.isOpened():
        raise UnreadableImageError(
            f"{path}: damaged video, or in a format that OpenCV cannot decode", "damaged"
        )
    return capture
