"""Names from folders.

A folder names the largest face of each photo in it, at any depth: photos of Ann often show others
beside her. Which level of folders bears the names is an option.
"""

from pathlib import Path

from facehash.errors import InputError
from facehash.library.people.people import MAX_LENGTH, check_name
from facehash.library.storage.records import bytes_of

Level = int | None
"""1: the folders in the indexed folder; 2: the folders in these; None: the folder of the photo."""


def parse_level(text: str) -> Level:
    """Parse what follows ``folders:``: ``parent``, or a number from 1.

    Raises:
        InputError: Anything else.
    """
    if text == "parent":
        return None
    if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) > 0:
        return int(text)
    raise InputError(
        f"--names folders:{text}: give the level of the folders with names, 1 for those in the "
        "indexed folder, 2 for those one level below, or parent for the folder of each photo"
    )


def name_of_folder(path: Path, folder: Path, level: Level) -> str | None:
    """Return the name that a folder gives to a photo, or None.

    Args:
        path: The photo.
        folder: The indexed folder.
        level: Which folders bear names.

    Example:
        >>> name_of_folder(Path("/p/Ann/2020/x.jpg"), Path("/p"), 1)
        'Ann'
        >>> name_of_folder(Path("/p/Ann/2020/x.jpg"), Path("/p"), None)
        '2020'
    """
    parts = path.relative_to(folder).parts[:-1]
    if len(parts) < (level or 1):
        return None
    # A folder name may contain bytes that are not text or not printable; a person's may not.
    text = bytes_of(Path(parts[level - 1 if level else -1])).decode("utf-8", errors="replace")
    printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return check_name(printable[:MAX_LENGTH]) if printable.strip() else None
