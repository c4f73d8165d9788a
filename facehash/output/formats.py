"""Recognizing earlier outputs of this project by their content, so that only these are replaced.

| Output | Recognized by |
|---|---|
| CSV | its first line, which is a header of ours |
| JSON | its top-level keys |
| HTML | its generator tag, or the title of search pages before 0.2.0 |
| PNG | a text ``Creator`` with the value ``facehash`` |
| HDF5 | the name of an attribute that only our exports have |
"""

import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEAD = 1 << 16
"""Bytes at the beginning of a file that are looked at."""

GENERATOR = "facehash"
"""The program that an HTML page and a PNG file name as their maker."""

PNG_TEXT = {"Software": None, "Creator": GENERATOR}
"""Metadata for Matplotlib: equal figures are equal files, and name this project."""

_PNG = b"\x89PNG\r\n\x1a\n"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Format:
    """A kind of output.

    Attributes:
        what: Its name in messages, with an article: ``"a CSV file"``.
        suffixes: The endings of its names, in lower case; the first is the usual one.
        is_ours: Returns whether a file is an earlier output of this kind.
    """

    what: str
    suffixes: tuple[str, ...]
    is_ours: Callable[[Path], bool]


def csv_format(*headers: str) -> Format:
    """Return the format of CSV files with one of these beginnings of the first line.

    Example:
        >>> csv_format("path,name").suffixes
        ('.csv',)
    """
    starts = tuple(header.encode() for header in headers)
    return Format(
        "a CSV file", (".csv",), lambda path: _head(path).removeprefix(_BOM).startswith(starts)
    )


def json_format(*keys: str, made_by: str | None = None) -> Format:
    """Return the format of indented JSON files whose top level has all these keys.

    Args:
        keys: Keys that begin in the first `HEAD` bytes of every file.
        made_by: The value of another such key, ``made_by``, by default none.
    """
    patterns = [re.compile(rb'^ "%s":' % re.escape(key.encode()), re.MULTILINE) for key in keys]
    if made_by is not None:
        marker = rb'^ "made_by": "%s",?$' % re.escape(made_by.encode())
        patterns.append(re.compile(marker, re.MULTILINE))

    def is_ours(path: Path) -> bool:
        head = _head(path)
        return head.startswith(b"{\n") and all(pattern.search(head) for pattern in patterns)

    return Format("a JSON file", (".json",), is_ours)


def hdf5_format(attribute: str) -> Format:
    """Return the format of HDF5 files with an attribute or array of this name."""

    def is_ours(path: Path) -> bool:
        if not _head(path).startswith(_HDF5):
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as all_:
            return all_.find(attribute.encode()) >= 0

    return Format("an HDF5 file", (".h5", ".hdf5"), is_ours)


def _is_our_page(path: Path) -> bool:
    head = _head(path)
    tag = f'<meta name="generator" content="{GENERATOR}'.encode()
    return tag in head or b"<title>facehash search</title>" in head


def _is_our_png(path: Path) -> bool:
    head = _head(path)
    place = len(_PNG)
    while head.startswith(_PNG) and place + 8 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, place)
        if kind == b"tEXt" and head[place + 8 : place + 8 + length] == (
            b"Creator\0" + GENERATOR.encode()
        ):
            return True
        place += 12 + length
    return False


HTML = Format("an HTML page", (".html", ".htm"), _is_our_page)
PNG = Format("a PNG file", (".png",), _is_our_png)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
