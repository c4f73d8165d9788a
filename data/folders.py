"""A folder of people, each a folder of images: ``<identity>/<image>``.

If all folders have the names of the parts of a split, such as ``train`` and ``test``, each contains
people: ``train/<identity>/<image>``.
"""

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.conversion import Block, SourceError
from data.people import Listing, list_people
from facehash.images.passed_over import PassedOver
from facehash.images.read import UnreadableImageError, read_image, resize
from facehash.printing import progress

MAX_UNREADABLE_SHARE = 0.05
"""More unreadable images are an error: the folder is probably not a data set of faces."""

_BATCH = 256
_DECODERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class FolderTree:
    """The conversion of such a folder, sorted by person and file name.

    Files without the suffix of an image and hidden files are passed over, and counted by kind.
    Unreadable images, and links to what does not exist, are omitted and counted.
    """

    root: Path  # the folder that contains one folder per person, or the parts of a split
    side: int  # of the converted images
    loader = "folders"

    @cached_property
    def listing(self) -> Listing:
        """What the folder contains."""
        return list_people(self.root)

    @property
    def files(self) -> Sequence[Path]:
        """All images, sorted by part, then by person, then by name."""
        return self.listing.files

    @property
    def passed_over(self) -> PassedOver:
        """Files that are not read, by kind."""
        return self.listing.passed_over

    def blocks(self) -> Iterator[Block]:
        """Decode and resize, a bounded number of images at a time.

        Raises:
            SourceError: More than 5 % of the images are unreadable.
        """
        unreadable: list[str] = []
        total = len(self.files)
        with (
            ThreadPoolExecutor(_DECODERS) as pool,
            progress(total=total, desc="converting", unit=" images", delay=1) as bar,
        ):
            for role, files in self.listing.parts:
                for start in range(0, len(files), _BATCH):
                    paths = files[start : start + _BATCH]
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
                    yield Block(pixels, people, role, omitted)
        if len(unreadable) > MAX_UNREADABLE_SHARE * total:
            raise SourceError(
                f"{self.root}: {len(unreadable)} of {total} images are unreadable, more "
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
    def listing(self) -> Listing:
        """What the folder contains.

        Raises:
            SourceError: A file name that does not follow the scheme of LFW.
        """
        found = list_people(self.root)
        for path in found.files:
            if not re.fullmatch(rf"{re.escape(path.parent.name)}_\d{{4}}", path.stem):
                raise SourceError(
                    f"{path}: file names in LFW are {path.parent.name}_0001.jpg and so on; "
                    "for other names use the loader 'folders'"
                )
        return found
