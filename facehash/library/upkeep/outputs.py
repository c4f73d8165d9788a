"""Where the outputs of commands about a library may go."""

import os
from collections.abc import Sequence
from pathlib import Path

from facehash.errors import InputError
from facehash.library.storage.records import bytes_of
from facehash.library.storage.settings import read_settings
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
    library, in a folder that was indexed or has photos of the library, nor in a folder below.

    Args:
        store: The library.
        path: The file as the user named it.
        formats: What will be written.
        option: The option or argument of the command, for messages.
        force: Also replace a file that is not an earlier output of this project, and also write to
            an indexed folder. A photo of the library is never replaced.

    Raises:
        InputError: The name is refused; the message names the option.
    """
    check_output(path, formats, option, force=force, outside=[store.directory])
    if descriptor_of(path) is not None or (path.exists() and not path.is_file()):
        return  # written to, see `check_output`
    target = Path(os.path.realpath(path))
    if store.database.value("SELECT 1 FROM paths WHERE path = ?", (bytes_of(target),)):
        raise InputError(f"{path}: is a photo of the library; choose another name for {option}")
    folder = indexed_folder_around(store, path)
    if folder and not force:
        raise InputError(
            f"{path}: is in {folder}, a folder with indexed photos; choose a name outside of that "
            f"folder for {option}, or add --force"
        )


def indexed_folder_around(store: Store, path: Path) -> Path | None:
    """Return the nearest folder above a path that was indexed or has indexed photos, or None."""
    settings = read_settings(store.database)
    # Libraries of earlier versions do not know which folders were indexed.
    indexed = (settings and settings.folders or "").splitlines()
    parents = Path(os.path.realpath(path)).parents
    return next((one for one in parents if str(one) in indexed or _has_photos(store, one)), None)


def _has_photos(store: Store, folder: Path) -> bool:
    """Return whether the library has photos directly in a folder."""
    separator = os.sep.encode()
    start = bytes_of(folder).rstrip(separator) + separator
    end = start[:-1] + bytes([start[-1] + 1])
    values = (start, end, len(start) + 1, separator)
    return store.database.value(_PHOTO_IN, values) is not None
