"""Labeled Faces in the Wild: ``<Person_Name>/<Person_Name>_0001.jpg``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.conversion import SourceError
from data.folders import FolderTree


@dataclass(frozen=True)
class LabeledFacesInTheWild(FolderTree):
    """The conversion of LFW: folders of people whose file names repeat the person's name.

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
