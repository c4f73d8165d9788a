"""A folder of people, each a folder of images: ``<identity>/<image>``."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.conversion import Block, SourceError
from facehash.images.read import IMAGE_SUFFIXES, UnreadableImageError, read_image, resize
from facehash.printing import progress

MAX_UNREADABLE_SHARE = 0.05
"""More unreadable images are an error: the folder is probably not a data set of faces."""

_BATCH = 256
_DECODERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class FolderTree:
    """The conversion of such a folder, sorted by person and file name.

    Hidden files and files without the suffix of an image are ignored. Unreadable images are
    omitted and counted.
    """

    root: Path  # the folder that contains one folder per person
    side: int  # of the converted images
    loader = "folders"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All images, sorted by person, then by name."""
        files = [
            image for person in _entries(self.root) if person.is_dir() for image in _images(person)
        ]
        if not files:
            loose = " (its images are not in folders of people)" if _images(self.root) else ""
            raise SourceError(
                f"{self.root}: no images found; expected one folder per person, "
                f"<identity>/<image>{loose}"
            )
        return tuple(files)

    def blocks(self) -> Iterator[Block]:
        """Decode and resize, a bounded number of images at a time.

        Raises:
            SourceError: More than 5 % of the images are unreadable.
        """
        unreadable: list[str] = []
        with (
            ThreadPoolExecutor(_DECODERS) as pool,
            progress(total=len(self.files), desc="converting", unit=" images", delay=1) as bar,
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
                omitted = [str(one) for one in results if isinstance(one, UnreadableImageError)]
                unreadable += omitted
                pixels = np.array(images, np.uint8).reshape(-1, self.side, self.side, 3)
                yield Block(pixels, people, unreadable=omitted)
        if len(unreadable) > MAX_UNREADABLE_SHARE * len(self.files):
            raise SourceError(
                f"{self.root}: {len(unreadable)} of {len(self.files)} images are unreadable, more "
                f"than {MAX_UNREADABLE_SHARE:.0%}; the first is {unreadable[0]}"
            )

    def _read(self, path: Path) -> NDArray[np.uint8] | UnreadableImageError:
        try:
            return resize(read_image(path), self.side)
        except UnreadableImageError as error:
            return error


@dataclass(frozen=True)
class LabeledFacesInTheWild(FolderTree):
    """The conversion of LFW: ``<Person_Name>/<Person_Name>_0001.jpg``.

    Most people have one photo: it is never a query, but a distractor in the gallery.
    """

    loader = "lfw"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All photos, sorted by person, then by number.

        Raises:
            SourceError: A file name that does not follow the scheme of LFW.
        """
        files = FolderTree(self.root, self.side).files
        for path in files:
            if not re.fullmatch(rf"{re.escape(path.parent.name)}_\d{{4}}", path.stem):
                raise SourceError(
                    f"{path}: file names in LFW are {path.parent.name}_0001.jpg and so on; "
                    "for other names use the loader 'folders'"
                )
        return files


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
