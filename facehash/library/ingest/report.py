"""The report of a run of ``facehash index``."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facehash.images.passed_over import PassedOver
from facehash.library.ingest.missing import MissingFolder
from facehash.library.people.names import NamedFaces
from facehash.library.people.parked import KeptNames
from facehash.library.storage.records import UnreadFile


@dataclass(frozen=True)
class IndexReport:
    """What a run did."""

    files: int  # picture files in the folder
    unchanged: int  # files not read again, as size and time of change are the same
    same_content: int  # files whose content was known: moved, copied or touched
    excluded: int  # files that were forgotten earlier
    photos: int  # new contents
    videos: int  # those of them that are videos
    faces: int  # faces in the new contents
    without_faces: int  # new contents without a face
    removed: int  # files removed from the library, as they no longer exist
    deselected: int  # files removed from the library, as they are skipped or excluded
    names: NamedFaces  # what the source of names did
    kept_names: KeptNames  # what became of names that a person gave
    unread: tuple[UnreadFile, ...]  # files that could not be read
    damaged: tuple[UnreadFile, ...]  # new photos that lack their end and were read nevertheless
    still_unread: int  # other files of the folder that could not be read in earlier runs
    codes_made: str | None  # codes that this run has added to the library, such as "lsh:64"
    links: tuple[Path, ...]  # symbolic links that were not followed
    closed: tuple[Path, ...]  # folders that could not be listed
    passed_over: PassedOver  # what else is not read as a picture
    missing_folders: tuple[MissingFolder, ...]  # folders that look like those of a missing drive
    seconds: float

    @property
    def named(self) -> int:
        """Number of faces whose name the source of names has set, changed or removed."""
        return self.names.named + self.names.renamed + self.names.unnamed

    @property
    def unnamed(self) -> tuple[Path, ...]:
        """Files in the list of names for which the library has no such face."""
        return self.names.unmatched

    @property
    def failed(self) -> dict[str, int]:
        """Number of files that could not be read, by reason."""
        return dict(Counter(file.reason for file in self.unread))
