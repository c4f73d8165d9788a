"""Codes as text, and as one file per array.

**A table**, ``codes.csv``: UTF-8, commas, a header, and a row per code. The columns are ``role``
(``gallery`` or ``query``), ``label``, and either ``code``, a text of 0 and 1 with one character per
bit, or one column per bit, ``bit0``, ``bit1`` and so on in this order, with {0, 1} or {-1, +1}.
Labels are integers if all of them are written as integers (``7``, not ``007``), and else names::

    role,label,code               role,label,bit0,bit1,bit2
    gallery,ann,010               gallery,7,-1,1,-1
    query,ann,011                 query,7,-1,1,1

**A folder** with a file per array of `facehash.retrieval.codes_file`, such as
``gallery_codes.npy``; an array may also be a ``.csv`` of numbers without a header: a row per code,
and a label per line.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.array_files import ArrayFileError, Arrays, Names, name_unread

ROLES = ("gallery", "query")

_COLUMNS = "role, label, and either code or bit0, bit1, ... in this order"
_VALUES = {"0": 0, "1": 1, "+1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1}
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)


def read_table(path: Path) -> Arrays:
    """Read a table of codes, as the module docstring describes.

    Args:
        path: A .csv file.

    Returns:
        ``gallery_codes`` and ``query_codes`` int8 (n, bits), ``gallery_labels`` and
        ``query_labels`` int64 (n,). Names are numbered in alphabetical order from 0.

    Raises:
        ArrayFileError: Not such a table; the message names the line.
    """
    rows = _rows(path)
    _, header = next(rows, (0, []))
    parse = _parser(path, [name.strip() for name in header])
    codes: dict[str, list[list[int]]] = {role: [] for role in ROLES}
    labels: dict[str, list[str]] = {role: [] for role in ROLES}
    width = None
    for line, row in rows:
        if len(row) != len(header):
            raise ArrayFileError(
                f"{path}: line {line} has {len(row)} columns, the header has {len(header)}"
            )
        role, label = row[0].strip(), row[1].strip()
        if role not in ROLES:
            raise ArrayFileError(
                f"{path}: line {line}: role must be gallery or query, got {role!r}"
            )
        if not label:
            raise ArrayFileError(f"{path}: line {line} has no label")
        code = parse(row[2:], line)
        if len(code) != (width := width or len(code)):
            raise ArrayFileError(
                f"{path}: line {line}: the code has {len(code)} bits, the first has {width}; a "
                "spreadsheet may have removed leading zeros"
            )
        codes[role].append(code)
        labels[role].append(label)
    for role in ROLES:
        if not codes[role]:
            raise ArrayFileError(f"{path}: no row has the role {role!r}")
    arrays: Arrays = {f"{role}_codes": np.array(codes[role], np.int8) for role in ROLES}
    numbers = _numbers([label for role in ROLES for label in labels[role]])
    for role, part in zip(ROLES, np.split(numbers, [len(labels[ROLES[0]])]), strict=True):
        arrays[f"{role}_labels"] = part
    return arrays


def read_folder(path: Path, required: Names, optional: Names) -> Arrays:
    """Read a folder with a .npy or a .csv file per array.

    Args:
        path: The folder.
        required: Names of arrays that must be there.
        optional: Names of arrays that may be there.

    Raises:
        ArrayFileError: A missing, doubled or unreadable file.
    """
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    arrays: Arrays = {}
    for name in (*required, *optional):
        present = [f"{name}{suffix}" for suffix in (".npy", ".csv") if f"{name}{suffix}" in names]
        if len(present) == 2:
            raise ArrayFileError(f"{path}: has both {present[0]} and {present[1]}; remove one")
        if not present and name in required:
            raise ArrayFileError(
                f"{path}: no {name}.npy; a folder of codes has a .npy or .csv file per array (a "
                "run directory is scored without --codes)"
            )
        for found in present:
            names.remove(found)
            read = _read_npy if found.endswith(".npy") else _read_numbers
            arrays[name] = read(path / found)
    name_unread(path, names)
    return arrays


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row that is not empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except OSError as error:
        raise ArrayFileError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise ArrayFileError(f"{path}: cannot be read as .csv ({reason})") from error


def _parser(path: Path, header: Sequence[str]) -> Callable[[list[str], int], list[int]]:
    """Return the function that reads the columns after role and label of a row."""
    bits = [f"bit{number}" for number in range(len(header) - 2)]
    of_code = list(header[2:])
    if list(header[:2]) != ["role", "label"] or not bits or of_code not in (["code"], bits):
        shown = ", ".join(header[:4])[:80] + ", ..." * (len(header) > 4)
        raise ArrayFileError(f"{path}: the columns must be {_COLUMNS}, got {shown or 'nothing'}")

    def parse(cells: list[str], line: int) -> list[int]:
        values: Sequence[str] = cells[0].strip() if header[2] == "code" else cells
        try:
            code = [_VALUES[value.strip()] for value in values]
        except KeyError as error:
            raise ArrayFileError(
                f"{path}: line {line}: bits are 0 or 1, or -1 or +1, got {str(error)[:40]}"
            ) from None
        if not code:
            raise ArrayFileError(f"{path}: line {line} has no code")
        return code

    return parse


def _numbers(labels: list[str]) -> NDArray[np.int64]:
    if all(_INTEGER.fullmatch(label) for label in labels):
        return np.array([int(label) for label in labels], np.int64)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        # A map fails where the file is shorter than its header says.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # NumPy fails in many ways on damaged headers
        reason = " ".join(str(error).split())[:200]
        raise ArrayFileError(f"{path}: cannot be read as .npy ({reason})") from error


def _read_numbers(path: Path) -> NDArray[np.int64]:
    """Read integers in rows of equal length, int64 (rows, columns)."""
    table: list[list[int]] = []
    for line, row in _rows(path):
        if table and len(row) != len(table[0]):
            raise ArrayFileError(
                f"{path}: line {line} has {len(row)} numbers, the first has {len(table[0])}"
            )
        try:
            table.append([_integer(cell.strip()) for cell in row])
        except ValueError:
            raise ArrayFileError(
                f"{path}: line {line}: must be integers without a header, got "
                f"{','.join(row)[:60]!r}"
            ) from None
    if not table:
        raise ArrayFileError(f"{path}: is empty")
    return np.array(table, np.int64)


def _integer(text: str) -> int:
    if text in _VALUES:
        return _VALUES[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    raise ValueError(text)
