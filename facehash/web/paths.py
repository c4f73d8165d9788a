"""Keeps the paths of this machine out of answers."""

import os
import re
from pathlib import Path

# An absolute path up to its last part. A space may be part of a name only before another slash.
_FOLDERS = re.compile(r"(?<![\w/])(?:/[^/:'\"\n]+)+/(?=[^/\s])|(?<!\w)[A-Za-z]:\\(?:[^\\:\n]+\\)*")


def without_paths(message: str, library: Path) -> str:
    """Return a message with file names in place of paths.

    Args:
        message: For example the text of an error.
        library: The library, which is called so.

    Example:
        >>> without_paths("/srv/lib: there is no face 3", Path("/srv/lib"))
        'the library: there is no face 3'
        >>> without_paths("/home/ann/My photos/a.jpg: damaged picture", Path("/srv/lib"))
        'a.jpg: damaged picture'
    """
    message = re.sub(r"(;|, or) (to [a-z ]+: )?facehash [^;]*", "", message)
    for known in sorted({str(library), os.path.realpath(library)}, key=len, reverse=True):
        message = message.replace(known, "the library")
    return _FOLDERS.sub("", message)
