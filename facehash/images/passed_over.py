"""`PassedOver`: what a search for pictures does not read, counted by kind."""

import re
from collections import Counter
from enum import Enum
from pathlib import Path

from facehash.images.read import is_picture
from facehash.printing import printable

_LOOKED_AT = 3  # files of each ending of which the content is looked at
_MOST_ENDINGS = 100  # endings of which files are looked at
_SHOWN = 3  # endings that are named
_KINDS = {
    "RAW": "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw "
    "rw2 rwl sr2 srf srw x3f",
    "video": "3g2 3gp avi flv insv m2ts m4v mkv mov mp4 mpeg mpg mts ogv vob webm wmv",
    "JPEG XL": "jxl",
    "JPEG 2000": "j2k jp2 jpf jpx",
    "Photoshop": "psb psd",
    "vector graphics": "ai eps svg",
    "sidecar": "aae dop pp3 thm xmp",
}
"""Endings of files whose kind is known and that are not read, by the name of the kind."""

_KIND_OF = {f".{ending}": kind for kind, endings in _KINDS.items() for ending in endings.split()}
_ENDING = re.compile(r"(?:\.[A-Za-z]\w{0,5})?\.\d{1,4}$|\.\w{1,10}$")


class Kind(Enum):
    """Why something is passed over: in words, for one and for several."""

    TOO_DEEP = "picture one level too deep", "pictures one level too deep"
    OUTSIDE = "picture outside the folders of people", "pictures outside the folders of people"
    NO_IMAGES = "person without images", "people without images"
    LINK = "link to a folder", "links to folders"
    SPECIAL = "pipe or device", "pipes or devices"
    CLOSED = "folder that cannot be listed", "folders that cannot be listed"
    CLUTTER = "folder of previews or deleted files", "folders of previews or deleted files"
    EXCLUDED = "excluded file or folder", "excluded files or folders"
    HIDDEN = "hidden file or folder", "hidden files or folders"


class PassedOver:
    """Counts of the files and folders that a search for pictures passes over.

    Example:
        >>> passed_over = PassedOver()
        >>> passed_over.add(Kind.HIDDEN)
        >>> passed_over.add(Kind.NO_IMAGES, 2, "the first is Ann")
        >>> print(passed_over)
        2 people without images (the first is Ann), 1 hidden file or folder
    """

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()
        self._notes: dict[Kind, str] = {}
        self._files: Counter[str] = Counter()  # by the kinds of `_KINDS`
        self._endings: Counter[str] = Counter()
        self._pictures: set[str] = set()  # endings of files that are pictures

    def add(self, kind: Kind, count: int = 1, note: str = "") -> None:
        """Count files or folders of a kind, of which the note describes the first."""
        self._counts[kind] += count
        self._notes.setdefault(kind, note)

    def add_file(self, path: Path) -> None:
        """Count a file whose name does not end as that of a picture does.

        Raw photos, videos and other well-known kinds are counted as such. Of each other ending,
        the content of the first three files is looked at.
        """
        if kind := _KIND_OF.get(path.suffix.lower()):
            self._files[kind] += 1
            return
        found = _ENDING.search(path.name)
        ending = found[0].lower() if found and found.start() else "none"
        known = ending in self._endings or len(self._endings) < _MOST_ENDINGS
        if known and self._endings[ending] < _LOOKED_AT and is_picture(path):
            self._pictures.add(ending)
        self._endings[ending] += 1

    @property
    def has_pictures(self) -> bool:
        """Whether pictures are among them, apart from hidden ones and behind links."""
        return bool(self._counts[Kind.TOO_DEEP] + self._counts[Kind.OUTSIDE] or self._pictures)

    def __bool__(self) -> bool:
        return any(self._counts.values()) or bool(self._files or self._endings)

    def __str__(self) -> str:
        """Return all counts, in one line."""
        parts = [f"{self._files[kind]:,} {kind}" for kind in _KINDS if self._files[kind]]
        parts += [self._describe_endings()] if self._endings else []
        for kind in Kind:
            if count := self._counts[kind]:
                note = f" ({self._notes[kind]})" if self._notes[kind] else ""
                parts.append(f"{count:,} {kind.value[count > 1]}{note}")
        return printable(", ".join(parts))

    def _describe_endings(self) -> str:
        """Describe the files of other endings; those that are pictures come first."""
        ranked = sorted(
            self._endings.items(), key=lambda one: (one[0] not in self._pictures, -one[1], one[0])
        )
        shown = [f"{count:,} {ending}" for ending, count in ranked[:_SHOWN]]
        if len(ranked) > _SHOWN:
            shown.append(f"{sum(count for _, count in ranked[_SHOWN:]):,} others")
        found = ", ".join(ending for ending, _ in ranked[:_SHOWN] if ending in self._pictures)
        remedy = f"; pictures are among {found}: rename them to .jpg" if found else ""
        total = self._endings.total()
        return (
            f"{total:,} {'file' if total == 1 else 'files'} without the ending of a picture "
            f"({', '.join(shown)}{remedy})"
        )
