"""Labeled Faces in the Wild: ``<Person_Name>/<Person_Name>_0001.jpg``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data.folders import FolderTree
from data.sources import SourceError


@dataclass(frozen=True)
class LabeledFacesInTheWild(FolderTree):
    """The conversion of LFW: a tree of folders whose file names repeat the person's.

    Most people have one photo: they are never asked for, but are in the gallery to be mistaken.
    """

    @property
    def parameters(self) -> dict[str, Any]:
        """What else the images depend on."""
        return {**super().parameters, "loader": "lfw"}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All photos, by person, then by number.

        Raises:
            SourceError: A photo that is not named as LFW names it.
        """
        files = FolderTree(self.root, self.side).files
        for path in files:
            if not re.fullmatch(rf"{re.escape(path.parent.name)}_\d{{4}}", path.stem):
                raise SourceError(
                    f"{path}: in LFW it would be {path.parent.name}_0001.jpg or another number of "
                    "four digits; for other names use the loader 'folders'"
                )
        return files
