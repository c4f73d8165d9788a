"""The report of a run of ``facehash index``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facehash.library.storage.records import UnreadFile


@dataclass(frozen=True)
class IndexReport:
    """What a run did; counts are files unless stated otherwise.

    Attributes:
        files: Picture files in the folder.
        unchanged: Not read again, as size and time of change are the same.
        same_content: Read, but the content was known: moved, copied or touched files.
        excluded: Read, but forgotten earlier.
        photos: New contents.
        faces: Faces in the new contents.
        without_faces: New contents without a face.
        removed: Files removed from the library.
        named: Faces whose name was set or removed.
        unread: Files that could not be read.
        still_unread: Other files of the folder that could not be read in earlier runs.
        codes_made: Codes that this run has added to the library, for example ``"lsh:64"``.
        links: Symbolic links that were not followed.
        closed: Folders that could not be listed.
        unnamed: Files in the list of names for which the library has no face.
        seconds: Duration of the run.
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
        """Number of files that could not be read, by reason."""
        return dict(Counter(file.reason for file in self.unread))
