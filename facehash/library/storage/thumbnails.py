"""Small copies of photos, made once and kept in the library: ``thumbnails/<digest>-<side>.jpg``.

Those of frames of videos have the time in milliseconds too: ``<digest>-<side>-<time>.jpg``.

They are private like the rest of the library. A thumbnail shows everybody on its photo, so
forgetting a face deletes all thumbnails. Those of other photos are made again when somebody looks
at them; of a photo that remains because of other faces, none is kept any more.
"""

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from facehash.errors import InputError
from facehash.files import with_filename
from facehash.library.storage.folder import (
    THUMBNAILS,
    check_file,
    check_no_symlinks,
    make_private_folder,
    private_atomic_write,
)

_LARGEST = 4_000_000
_NAME = re.compile(r"([0-9a-f]{64})-[0-9]{1,4}(?:-[0-9]{1,12})?\.jpg")


def read_thumbnail(
    directory: Path, digest: bytes, side: int, seconds: float | None = None
) -> bytes | None:
    """Return the thumbnail of a photo or of a frame, or None if there is none.

    Args:
        directory: The library.
        digest: SHA-256 of the photo.
        side: Longest side of the thumbnail, in pixels.
        seconds: The time of a frame of a video; None for a photo.

    Raises:
        InputError: Something else stands in its place, a link for example.
    """
    check_no_symlinks(directory)
    path = _path(directory, digest, side, seconds)
    check_file(path)
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:
        return None


def write_thumbnail(
    directory: Path, digest: bytes, side: int, jpeg: bytes, seconds: float | None = None
) -> None:
    """Keep a thumbnail; a library that cannot be written to keeps none.

    Arguments are those of `read_thumbnail`.

    Raises:
        InputError: Something else stands in its place.
    """
    check_no_symlinks(directory)
    path = _path(directory, digest, side, seconds)
    check_file(path)
    with contextlib.suppress(OSError):
        make_private_folder(path.parent)
        with private_atomic_write(path) as temporary:
            temporary.write_bytes(jpeg)


def delete_thumbnails(directory: Path, keep: Callable[[bytes], bool] | None = None) -> int:
    """Delete the thumbnails of a library, and return their number.

    Args:
        directory: The library.
        keep: Whether the thumbnails of a photo stay, by its digest. None keeps none.

    Raises:
        InputError: A link in place of the folder.
        OSError: A file cannot be deleted.
    """
    check_no_symlinks(directory)
    folder = directory / THUMBNAILS
    deleted = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = _NAME.fullmatch(path.name)
        if keep and found and keep(bytes.fromhex(found[1])):
            continue
        with with_filename(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        deleted += 1
    return deleted


def _path(directory: Path, digest: bytes, side: int, seconds: float | None) -> Path:
    if len(digest) != 32 or not 0 < side < 10_000:
        raise InputError(f"no thumbnail of {side} pixels of the photo {digest.hex():.64}")
    time = "" if seconds is None else f"-{round(1000 * seconds)}"
    return directory / THUMBNAILS / f"{digest.hex()}-{side}{time}.jpg"
