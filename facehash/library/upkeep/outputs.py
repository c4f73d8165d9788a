"""Where the outputs of commands about a library may go."""

import os
from collections.abc import Sequence
from pathlib import Path

from facehash.errors import InputError
from facehash.library.storage.records import bytes_of
from facehash.library.storage.store import Store
from facehash.output import Format, check_output, descriptor_of

# Photos directly in a folder: no further separator in the rest of the path.
_PHOTO_IN = (
    "SELECT 1 FROM paths WHERE path >= ? AND path < ? AND instr(substr(path, ?), ?) = 0 LIMIT 1"
)


def check_library_output(
    store: Store,
    path: Path,
    formats: Format | Sequence[Format],
    option: str,
    *,
    force: bool = False,
) -> None:
    """Refuse an output as `facehash.output.check_output` does, and one among the indexed photos.

    A file among the photos would be indexed, or counted, by the next run. So it must not be in the
    library, in a folder that has indexed photos, nor in a folder below.

    Args:
        store: The library.
        path: The file as the user named it.
        formats: What will be written.
        option: The option or argument of the command, for messages.
        force: Also replace a file that is not an earlier output of this project.

    Raises:
        InputError: The name is refused; the message names the option.
    """
    check_output(path, formats, option, force=force, outside=[store.directory])
    if descriptor_of(path) is not None or (path.exists() and not path.is_file()):
        return  # written to, see `check_output`
    folder = has_photos_around(store, path)
    if folder:
        raise InputError(
            f"{path}: is among the indexed photos of {folder}; choose a name outside of that "
            f"folder for {option}"
        )


def has_photos_around(store: Store, path: Path) -> Path | None:
    """Return the nearest folder above a path that has indexed photos, or None."""
    parents = Path(os.path.realpath(path)).parents
    return next((folder for folder in parents if _has_photos(store, folder)), None)


def _has_photos(store: Store, folder: Path) -> bool:
    """Return whether the library has photos directly in a folder."""
    separator = os.sep.encode()
    start = bytes_of(folder).rstrip(separator) + separator
    end = start[:-1] + bytes([start[-1] + 1])
    values = (start, end, len(start) + 1, separator)
    return store.database.value(_PHOTO_IN, values) is not None
