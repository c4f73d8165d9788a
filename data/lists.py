"""Images listed in a text file: ``image,label`` or ``image,label,role`` per line."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from data.conversion import Block, SourceError
from data.folders import Picture, decoded
from data.labeled_images import Role, gallery_from_train
from facehash.errors import did_you_mean
from facehash.images.passed_over import PassedOver
from facehash.images.read import IMAGE_SUFFIXES
from facehash.printing import brief

SUFFIXES = (".csv", ".tsv", ".txt", ".lst")
"""Files of these endings are lists; others are if the configuration names the loader."""

COLUMNS = ("image", "label", "role")
_SEPARATORS = {"\t": "a tab", ",": "a comma", " ": "spaces"}


@dataclass(frozen=True)
class ImageList:
    """The conversion of the images in a list.

    * **Separator.** A tab if the first line contains one, else a comma if it contains one, else
      spaces. Cells of comma-separated lines may be quoted, as in any CSV file.
    * **Header.** The first line is a header if its cells are ``image``, ``label`` and, with three
      columns, ``role``, in any order and in upper or lower case. Otherwise it is the first image
      and the columns have this order. Other names, and a first line that names no image, are
      refused.
    * **Image.** A path relative to the folder of the list. A missing file counts as unreadable.
    * **Label.** Any text, also a number: equal texts are one person.
    * **Role.** ``train``, ``gallery`` or ``query``. Without any ``gallery``, the gallery is the
      training set. An image with two roles has two lines; any other repeated image is an error.

    Spaces around a cell and empty lines are ignored.
    """

    path: Path  # the list
    side: int  # of the converted images
    loader = "list"
    passed_over = PassedOver()  # whatever is not read is an error

    @property
    def root(self) -> Path:
        """The folder of the list."""
        return self.path.parent

    @cached_property
    def pictures(self) -> Sequence[tuple[Role | None, Sequence[Picture]]]:
        """The images of each role, None for a list without roles, in the order of the list.

        Raises:
            SourceError: The list cannot be read, or a line of it, which the message names.
        """
        found = _Images(self.path)
        for number, cells in _rows(self.path):
            found.add(number, cells)
        if not found.lines:
            raise SourceError(f"{self.path}: lists no images; expected lines image,label[,role]")
        return found.by_role()

    @cached_property
    def files(self) -> Sequence[Path]:
        """The list, and the images in it."""
        return [self.path, *(one.path for _, pictures in self.pictures for one in pictures)]

    def blocks(self) -> Iterator[Block]:
        """Decode and resize, a bounded number of images at a time.

        Raises:
            SourceError: More than 5 % of the images are unreadable, or a line is.
        """
        hint = f"; paths are relative to {self.root}"
        yield from decoded(self.path, self.pictures, self.side, hint)


class _Images:
    """The images of a list, while its lines are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Path, int] = {}  # image -> line of its first mention
        self.labels: dict[Path, str] = {}
        self.roles: dict[Path, Role] = {}

    def add(self, number: int, cells: dict[str, str]) -> None:
        """Add the cells of a line by the names of their columns."""
        where = f"{self.path} line {number}"
        image, label = cells["image"], cells["label"]
        for name in COLUMNS:
            if cells.get(name) == "":
                raise SourceError(f"{where}: has no {name}; expected image,label[,role]")
        if "\0" in image:
            raise SourceError(f"{where}: {brief(image)} is not a path")
        file = self.path.parent / image
        role = _role(where, cells["role"]) if "role" in cells else Role(0)
        known = self.roles.get(file)
        if known is not None:
            first = self.lines[file]
            if self.labels[file] != label:
                raise SourceError(
                    f"{where}: {brief(image)} has the label {brief(label)}, but in line {first} "
                    f"{brief(self.labels[file])}; an image shows one person"
                )
            if role & known or not role:
                raise SourceError(f"{where}: repeats line {first}; remove one of them")
            role |= known
        if role & Role.TRAIN and role & Role.QUERY:
            raise SourceError(
                f"{where}: {brief(image)} is both query and train, see line {self.lines[file]}; a "
                "query must be new to the model"
            )
        self.lines.setdefault(file, number)
        self.labels[file], self.roles[file] = label, role

    def by_role(self) -> list[tuple[Role | None, list[Picture]]]:
        """Return the images of each combination of roles."""
        roles = gallery_from_train(np.array(list(self.roles.values()), np.uint8))
        parts: dict[int, list[Picture]] = {}
        for role, (file, line) in zip(roles.tolist(), self.lines.items(), strict=True):
            parts.setdefault(role, []).append(Picture(file, self.labels[file], f"line {line}: "))
        return [(Role(role) or None, parts[role]) for role in sorted(parts)]


def _role(where: str, text: str) -> Role:
    names = [role.name.lower() for role in Role if role.name]
    if text.lower() not in names:
        raise SourceError(f"{where}: role {brief(text)} is unknown{did_you_mean(text, names)}")
    return Role[text.upper()]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line of images, and its cells by the names of their columns."""
    separator = ""
    names: tuple[str, ...] = ()
    for number, line in _lines(path):
        separator = separator or next(one for one in _SEPARATORS if one in line.strip() + " ")
        cells = _cells(path, number, line, separator)
        if not names:
            names = _header(path, number, cells)
            if names:
                continue
            names = COLUMNS[: len(cells)] if len(cells) in (2, 3) else ()
        if len(cells) != len(names):
            expected = str(len(names)) if names else "2 or 3"
            raise SourceError(
                f"{path} line {number}: has {len(cells)} columns separated by "
                f"{_SEPARATORS[separator]}, expected {expected}, image,label[,role]; the first "
                "line decides how many and which separator"
            )
        yield number, dict(zip(names, cells, strict=True))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not UTF-8 text; save it as UTF-8") from error


def _cells(path: Path, number: int, line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    try:
        # Line by line: a stray quote must not swallow the lines after it.
        (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise SourceError(
            f"{path} line {number}: {error}; a quoted cell must end in its line"
        ) from error
    return [cell.strip() for cell in cells]


def _header(path: Path, number: int, cells: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns if the first line is a header, or nothing if it is not."""
    names = tuple(cell.lower() for cell in cells)
    if sorted(names) in (sorted(COLUMNS), sorted(COLUMNS[:2])):
        return names
    if {"image", "label"} & set(names):
        raise SourceError(
            f"{path} line {number}: the header has the columns {', '.join(map(brief, cells))}; "
            "expected image, label and optionally role"
        )
    image = path.parent / cells[0]
    if image.suffix.lower() not in IMAGE_SUFFIXES and not os.path.isfile(image):
        raise SourceError(
            f"{path} line {number}: {brief(cells[0])} is neither an image nor the first column of "
            "a header image,label[,role]"
        )
    return ()
