"""What a run of ``facehash index`` did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facehash.library.storage.records import UnreadFile


@dataclass(frozen=True)
class IndexReport:
    """What a run did.

    Attributes:
        files: Picture files in the folder.
        unchanged: Of these, not read again: size and time of change are the same.
        same_content: Read, but known: moved, copied or touched.
        excluded: Read, but forgotten earlier and not to come back.
        photos: New contents.
        faces: Faces in them.
        without_faces: How many of them show no face.
        removed: Files that are in the library no more.
        named: Faces whose name was set or taken back.
        unread: Files that could not be read.
        still_unread: Further files of the folder that earlier runs could not read.
        codes_made: Codes that the library has had since this run only.
        links: Symbolic links that were not followed.
        closed: Folders that could not be listed.
        unnamed: Files in the list of names without such a face in the library.
        seconds: How long it took.
    """

    files: int
    unchanged: int
    same_content: int
    excluded: int
    photos: int
    faces: int
    without_faces: int
    removed: int
    named: int
    unread: tuple[UnreadFile, ...]
    still_unread: int
    codes_made: str | None
    links: tuple[Path, ...]
    closed: tuple[Path, ...]
    unnamed: tuple[Path, ...]
    seconds: float

    @property
    def failed(self) -> dict[str, int]:
        """How many files could not be read, by reason."""
        return dict(Counter(file.reason for file in self.unread))
