"""Any folder of people: ``<identity>/<image>``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data.cache import Block
from data.sources import SourceError
from facehash.images.read import (
    IMAGE_SUFFIXES,
    RESIZE_FILTER,
    UnreadableImageError,
    read_image,
    resize,
)

MAX_UNREADABLE_SHARE = 0.05
"""A larger share of unreadable images is an error: the folder is then not what it is taken for."""

_BATCH = 256
_DECODERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class FolderTree:
    """The conversion of such a folder: people by name, each person's images by file name.

    Hidden files and files without an image's ending are ignored. An unreadable image is left out
    and counted.

    Attributes:
        root: The folder with one folder a person.
        side: Side of the images made.
    """

    root: Path
    side: int

    @property
    def parameters(self) -> dict[str, Any]:
        """What else the images depend on."""
        return {"loader": "folders", "filter": RESIZE_FILTER.name}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All images, by person, then by name."""
        files = [
            image for person in _entries(self.root) if person.is_dir() for image in _images(person)
        ]
        if not files:
            loose = " (the images directly in it belong to nobody)" if _images(self.root) else ""
            raise SourceError(
                f"{self.root}: no images found; one folder a person is expected, "
                f"<identity>/<image>{loose}"
            )
        return tuple(files)

    def blocks(self) -> Iterator[Block]:
        """Decode and resize, a few images at a time.

        Raises:
            SourceError: More than 5 % of the images are unreadable.
        """
        unreadable: list[str] = []
        with (
            ThreadPoolExecutor(_DECODERS) as pool,
            tqdm(
                total=len(self.files), desc="converting", unit=" images", disable=None, delay=1
            ) as bar,
        ):
            for start in range(0, len(self.files), _BATCH):
                paths = self.files[start : start + _BATCH]
                results = list(pool.map(self._read, paths))
                bar.update(len(paths))
                images = [one for one in results if isinstance(one, np.ndarray)]
                people = [
                    path.parent.name
                    for path, one in zip(paths, results, strict=True)
                    if isinstance(one, np.ndarray)
                ]
                left_out = [str(one) for one in results if isinstance(one, UnreadableImageError)]
                unreadable += left_out
                pixels = np.array(images, np.uint8).reshape(-1, self.side, self.side, 3)
                yield Block(pixels, people, unreadable=left_out)
        self._refuse_too_many(unreadable)

    def _read(self, path: Path) -> NDArray[np.uint8] | UnreadableImageError:
        try:
            return resize(read_image(path), self.side)
        except UnreadableImageError as error:
            return error

    def _refuse_too_many(self, unreadable: list[str]) -> None:
        if len(unreadable) > MAX_UNREADABLE_SHARE * len(self.files):
            raise SourceError(
                f"{self.root}: {len(unreadable)} of {len(self.files)} images are unreadable, more "
                f"than {MAX_UNREADABLE_SHARE:.0%}; the first is {unreadable[0]}"
            )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error


def _images(person: Path) -> list[Path]:
    return [
        path
        for path in _entries(person)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]
