"""Names from a list: a CSV file of a spreadsheet, or what ``facehash export`` wrote.

Paths compare after resolving symbolic links, and regardless of the Unicode form of their
characters: a Mac writes the umlaut in a file name as two characters, a list made elsewhere as one.
"""

import csv
import functools
import io
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facehash.errors import InputError
from facehash.library.people.people import check_name
from facehash.library.storage.spreadsheet import unplain

_DELIMITERS = ",;\t"
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_LARGEST = 1 << 28


@dataclass(frozen=True)
class NameList:
    """The content of a list of names."""

    file: Path
    folder: Path  # what relative paths in the list are relative to
    names: Mapping[tuple[Path, int], str]  # (absolute path, number of the face) -> name


def read_list(file: Path, folder: Path) -> NameList:
    """Read a CSV file with the columns ``path``, ``name`` and, optionally, ``face``.

    Args:
        file: One line per face, as UTF-8 or UTF-16, with commas, semicolons or tabs. Other columns
            are ignored, and so are lines without a name. Paths are absolute or relative to
            `folder`; ``face`` is the number of the face in the photo, by default 1, the largest.
        folder: The folder being indexed.

    Raises:
        InputError: A missing column, or an invalid line; the message has its number.
        OSError: The file cannot be read.
    """
    found: dict[tuple[Path, int], str] = {}
    root = Path(os.path.realpath(folder))
    try:
        text = _read_text(file)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        header = [cell.strip().casefold() for cell in next(reader, [])]
        for column in ("path", "name"):
            if column not in header:
                raise InputError(f"{file}: no column {column!r} (the columns: path,name,face)")
        for cells in reader:
            if not any(cells):
                continue
            row = dict(zip(header, cells, strict=False))
            where = f"{file}, line {reader.line_num}"
            path, face = unplain(row["path"]), row.get("face", "").strip() or "1"
            if not path or "name" not in row:
                raise InputError(f"{where}: path or name is missing")
            if not row["name"].strip():
                continue
            if not (face.isascii() and face.isdecimal() and len(face) < 10 and int(face) > 0):
                raise InputError(f"{where}: face must be a number from 1, got {face[:20]!r}")
            if "\0" in path:
                raise InputError(f"{where}: not a path: {path[:60]!r}")
            key = (Path(os.path.normpath(root / path)), int(face))
            name = check_name(unplain(row["name"]), where)
            if found.setdefault(key, name) != name:
                raise InputError(f"{where}: {path} is {found[key]!r} in an earlier line")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: neither UTF-8 nor UTF-16 text") from error
    except csv.Error as error:
        raise InputError(f"{file}: not a CSV file ({error})") from error
    return NameList(file, root, found)


def match_paths(listed: Iterable[Path], known: Iterable[Path]) -> dict[Path, Path]:
    """Return which known path each listed path means; paths that mean none are omitted.

    A path means a known one that is equal to it, or else the only one that is equal after links
    are resolved and in the Unicode form NFC.

    Args:
        listed: Absolute paths.
        known: Absolute paths without symbolic links.
    """
    same: dict[str, set[Path]] = defaultdict(set)
    exact = set(known)
    for path in exact:
        same[unicodedata.normalize("NFC", str(path))].add(path)
    resolve = functools.cache(os.path.realpath)
    matched = {}
    for path in set(listed):
        candidates = {path} & exact
        for form in (path, Path(resolve(path.parent), path.name), Path(os.path.realpath(path))):
            candidates = candidates or same.get(unicodedata.normalize("NFC", str(form)), set())
        if len(candidates) == 1:
            [matched[path]] = candidates
    return matched


def _read_text(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InputError(f"{file}: larger than {_LARGEST >> 20} MB, which no list of names is")
    encoding = next((code for mark, code in _MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def _delimiter(text: str) -> str:
    """Return the separator of columns that splits the first line into path and name."""
    line = text.partition("\n")[0]
    for delimiter in _DELIMITERS:
        header = {cell.strip().strip('"').casefold() for cell in line.split(delimiter)}
        if {"path", "name"} <= header:
            return delimiter
    return ","
