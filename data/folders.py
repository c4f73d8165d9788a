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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.conversion import Block, SourceError
from data.labeled_images import Role
from data.people import Listing, list_people
from facehash.images.passed_over import PassedOver
from facehash.images.read import UnreadableImageError, read_image, resize
from facehash.printing import progress

MAX_UNREADABLE_SHARE = 0.05
"""More unreadable images are an error: the folder is probably not a data set of faces."""

_BATCH = 256
_DECODERS = min(4, os.cpu_count() or 1)


class Picture(NamedTuple):
    """A picture to decode."""

    path: Path
    label: str  # the person
    place: str = ""  # precedes the message if it is unreadable


def decoded(
    source: Path,
    parts: Sequence[tuple[Role | None, Sequence[Picture]]],
    side: int,
    hint: str = "",
) -> Iterator[Block]:
    """Decode and resize pictures, a bounded number at a time; omit and count unreadable ones.

    Args:
        source: The folder or file that names the pictures, for error messages.
        parts: The pictures by role; the role is None if the data does not come split.
        side: Height and width of the converted images, in pixels.
        hint: The end of the error message.

    Raises:
        SourceError: More than 5 % of the pictures are unreadable.
    """
    unreadable: list[str] = []
    total = sum(len(pictures) for _, pictures in parts)

    def read(picture: Picture) -> NDArray[np.uint8] | str:
        try:
            return resize(read_image(picture.path), side)
        except UnreadableImageError as error:
            return f"{picture.place}{error}"

    with (
        ThreadPoolExecutor(_DECODERS) as pool,
        progress(total=total, desc="converting", unit=" images", delay=1) as bar,
    ):
        for role, pictures in parts:
            for start in range(0, len(pictures), _BATCH):
                batch = pictures[start : start + _BATCH]
                results = list(pool.map(read, batch))
                bar.update(len(batch))
                images = [one for one in results if not isinstance(one, str)]
                omitted = [one for one in results if isinstance(one, str)]
                people = [
                    picture.label
                    for picture, one in zip(batch, results, strict=True)
                    if not isinstance(one, str)
                ]
                unreadable += omitted
                pixels = np.array(images, np.uint8).reshape(-1, side, side, 3)
                yield Block(pixels, people, role, omitted)
    if len(unreadable) > MAX_UNREADABLE_SHARE * total:
        raise SourceError(
            f"{source}: {len(unreadable)} of {total} images are unreadable, more than "
            f"{MAX_UNREADABLE_SHARE:.0%}; the first is {unreadable[0]}{hint}"
        )


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
        parts = [
            (role, [Picture(path, path.parent.name) for path in files])
            for role, files in self.listing.parts
        ]
        yield from decoded(self.root, parts, self.side)


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
