"""Which files and folders below a folder of photos are read.

Storage boxes, operating systems and photo managers keep previews and deleted photos of their own in
folders beside the photos. Their names are known, and a search for photos does not enter them.
"""

import fnmatch
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from facehash.errors import InputError
from facehash.images.read import IMAGE_SUFFIXES
from facehash.images.video import VIDEO_SUFFIXES

CLUTTER_FOLDERS = frozenset(
    {
        "$recycle.bin", "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle",
        "@tmp", "__macosx", "lost+found", "recycled", "recycler", "system volume information",
    }
)  # fmt: skip
"""Names, in lower case, of folders with previews, deleted files and caches."""

_CLUTTER_ENDINGS = (".lrdata",)  # previews of Lightroom
_PACKAGES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
_IN_PACKAGES = frozenset({"originals", "masters"})  # everything else is made from them
_APPLE_DOUBLE = "._"  # the other half of a file of macOS on a drive of another system


@dataclass(frozen=True)
class Selection:
    """What is read of a folder of photos.

    Attributes:
        exclude: Patterns of files and folders that are not read: ``*``, ``?`` and ``[...]`` as in
            a shell, regardless of upper and lower case. A pattern without a slash is compared with
            the names of files and folders at any depth, one with a slash with paths relative to
            the folder; there ``*`` also stands for slashes.
        include_skipped: Also read hidden files and folders and those of `CLUTTER_FOLDERS`.
        videos: Also read videos.

    Example:
        >>> selection = Selection(exclude=("*_edited.*", "2019/Work"))
        >>> selection.excludes("IMG_1_edited.JPG", "trip/IMG_1_edited.JPG")
        True
        >>> selection.excludes("Work", "2019/work"), selection.excludes("Work", "2020/Work")
        (True, False)
    """

    exclude: tuple[str, ...] = ()
    include_skipped: bool = False
    videos: bool = False

    def reads(self, suffix: str) -> bool:
        """Return whether files with this ending, in lower case, are read."""
        return suffix in IMAGE_SUFFIXES or (self.videos and suffix in VIDEO_SUFFIXES)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
        """The patterns of names, and those of paths."""
        folded = [_folded(pattern).removeprefix("./").rstrip("/") for pattern in self.exclude]
        return (
            _joined(pattern for pattern in folded if "/" not in pattern),
            _joined(pattern.lstrip("/") for pattern in folded if "/" in pattern),
        )

    def excludes(self, name: str, path: str) -> bool:
        """Return whether a pattern fits a file or folder.

        Args:
            name: Its name.
            path: Its path relative to the folder of photos, with slashes.
        """
        if not self.exclude:
            return False
        names, paths = self._patterns
        return bool(
            (names and names.match(_folded(name))) or (paths and paths.match(_folded(path)))
        )

    def skips_name(self, name: str) -> bool:
        """Return whether a file or folder is skipped as hidden."""
        return name.startswith(_APPLE_DOUBLE if self.include_skipped else ".")

    def skips_folder(self, name: str, parent: str) -> bool:
        """Return whether a folder of this name in a folder with the name `parent` is skipped.

        In the package of a photo manager, such as ``Photos Library.photoslibrary``, only the
        folders of the original photos are read.

        Example:
            >>> Selection().skips_folder("@eaDir", "2019")
            True
            >>> [Selection().skips_folder(name, "A.photoslibrary") for name in ("originals", "x")]
            [False, True]
        """
        if self.include_skipped:
            return False
        folded = name.casefold()
        if folded in CLUTTER_FOLDERS or folded.endswith(_CLUTTER_ENDINGS):
            return True
        return parent.casefold().endswith(_PACKAGES) and folded not in _IN_PACKAGES


def parse_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns of ``--exclude``; empty ones are removed.

    Raises:
        InputError: A pattern has several lines, or fits everything.
    """
    given = tuple(pattern for pattern in patterns if pattern.strip())
    for pattern in given:
        if len(pattern.splitlines()) > 1 or "\0" in pattern:
            raise InputError(f"--exclude {pattern!r}: a pattern is one line of text")
        if not pattern.strip("*/."):
            raise InputError(f"--exclude {pattern!r}: fits every file; name what to exclude")
    return given


def _joined(patterns: Iterable[str]) -> re.Pattern[str] | None:
    expressions = [fnmatch.translate(pattern) for pattern in patterns]
    return re.compile("|".join(expressions)) if expressions else None


def _folded(text: str) -> str:
    # macOS stores letters with accents as two characters, keyboards send one.
    return unicodedata.normalize("NFC", text).casefold()
