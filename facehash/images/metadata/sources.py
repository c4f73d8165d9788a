"""Where programs keep what they know about the photos of a folder, and reading it photo by photo.

A source has a method ``read(photo)`` that returns what it says about the photo. Files that cannot
be read, or that are only partly understood, do not stop it: they are in `Source.problems`.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from facehash.errors import InputError
from facehash.images.metadata import picasa, takeout
from facehash.images.metadata.packets import SUFFIX, Header, read_embedded, read_sidecar
from facehash.images.metadata.regions import PhotoPeople
from facehash.images.metadata.xmp import Packet
from facehash.images.read import open_picture

_T = TypeVar("_T")


class Said(NamedTuple):
    """What a source says about a photo."""

    people: PhotoPeople
    header: Header | None = None  # of the photo, if reading it was part of the work


class Source:
    """What all sources have in common."""

    def __init__(self, photos: Collection[Path]) -> None:
        """Look for the files of a source.

        Args:
            photos: The photos that will be asked about, by absolute paths.
        """
        self.problems: dict[Path, str] = {}  # file -> what is wrong, in one line
        self.by_folder: dict[Path, list[Path]] = defaultdict(list)
        for photo in photos:
            self.by_folder[photo.parent].append(photo)

    def read(self, photo: Path) -> Said:
        """Return what the source says about one of the photos."""
        raise NotImplementedError

    def note(self, file: Path, problems: Iterable[str]) -> None:
        """Remember what is wrong with a file, in one line."""
        listed = list(problems)
        if listed and file not in self.problems:
            more = f" (and {len(listed) - 1:,} more like it)" if len(listed) > 1 else ""
            self.problems[file] = f"{listed[0]}{more}"

    def parsed(self, file: Path, most: int, parse: Callable[[bytes], _T]) -> _T | None:
        """Return the parsed content of a file, or None and a problem."""
        try:
            with open_picture(file) as opened:
                return parse(opened.read(most + 1))
        except InputError as error:
            self.note(file, [str(error).removeprefix(f"{file}: ")])
        except OSError as error:
            self.note(file, [error.strerror or str(error)])
        return None

    def files_in(self, folder: Path) -> dict[str, Path]:
        """Return the files in a folder by their names in lower case; of two, the later name."""
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.note(folder, [error.strerror or str(error)])
            return {}
        return {name.casefold(): folder / name for name in names}


class Xmp(Source):
    """XMP in the photos and in sidecars: ``photo.jpg.xmp``, then ``photo.xmp``.

    What a sidecar says about a face counts for more than what is in the photo: programs write
    sidecars to leave photos as they are.
    """

    def __init__(
        self, photos: Collection[Path], folder: Path, sidecars: Path | None = None
    ) -> None:
        """Look for sidecars.

        Args:
            photos: The photos.
            folder: A folder that all of them are in.
            sidecars: A folder with sidecars, of the same tree as `folder`. Default: `folder`.
        """
        super().__init__(photos)
        self._folder, self._sidecars = folder, sidecars or folder
        self._listed: tuple[Path, dict[str, Path]] | None = None

    def read(self, photo: Path) -> Said:
        """Return the people in the sidecars and in the photo."""
        parts = []
        for file in self._sidecars_of(photo):
            packet = read_sidecar(file)
            if not self._is_of_another(packet, photo):
                self.note(file, packet.people.problems)
                parts.append(packet.people)
        header = None
        try:
            header, embedded = read_embedded(photo)
        except InputError as error:
            self.note(photo, [str(error).removeprefix(f"{photo}: ")])
        else:
            self.note(photo, embedded.problems)
            parts.append(embedded)
        return Said(PhotoPeople.join(parts), header)

    def _sidecars_of(self, photo: Path) -> list[Path]:
        folder = self._sidecars / photo.parent.relative_to(self._folder)
        if self._listed is None or self._listed[0] != folder:  # photos come folder by folder
            self._listed = folder, self.files_in(folder)
        listed = self._listed[1]
        names = [f"{name}{SUFFIX}".casefold() for name in (photo.name, photo.stem)]
        return [listed[name] for name in names if name in listed]

    def _is_of_another(self, packet: Packet, photo: Path) -> bool:
        """Return whether a sidecar names, by its ending, another photo of the same name."""
        if packet.for_extension is None:
            return False
        meant = f"{photo.stem}.{packet.for_extension}".casefold()
        beside = {one.name.casefold() for one in self.by_folder[photo.parent]}
        return meant != photo.name.casefold() and meant in beside


class Picasa(Source):
    """``.picasa.ini`` in the folders of the photos.

    A number means the contact that its own folder names, or else ``contacts.xml``, or else the
    other folders, if they agree.
    """

    def __init__(self, photos: Collection[Path], contacts: Path | None = None) -> None:
        """Read the files of Picasa in all folders of the photos.

        Args:
            photos: The photos.
            contacts: A ``contacts.xml``.

        Raises:
            InputError: `contacts` cannot be read.
        """
        super().__init__(photos)
        known = {} if contacts is None else read_contacts(contacts)
        self._folders: dict[Path, tuple[Path, picasa.Folder]] = {}
        for folder in self.by_folder:
            listed = self.files_in(folder)
            for name in picasa.FILE_NAMES:
                file = listed.get(name.casefold())
                if file is not None and folder not in self._folders:
                    content = self.parsed(file, picasa.MAX_BYTES, picasa.parse_folder)
                    if content is not None:
                        self._folders[folder] = file, content
        self._contacts = _agreed(one.contacts for _, one in self._folders.values()) | known

    def read(self, photo: Path) -> Said:
        """Return the people that Picasa has found in a photo."""
        file, folder = self._folders.get(photo.parent, (None, None))
        if file is None or folder is None:
            return Said(PhotoPeople())
        value = folder.faces.get(photo.name)
        if value is None:  # Windows does not distinguish upper and lower case
            wanted = photo.name.casefold()
            value = next((v for k, v in folder.faces.items() if k.casefold() == wanted), "")
        people = picasa.faces_of(value, {**self._contacts, **folder.contacts})
        self.note(file, (f"[{photo.name}]: {problem}" for problem in people.problems))
        return Said(people)


class Takeout(Source):
    """JSON files of Google Takeout in the folders of the photos."""

    def __init__(self, photos: Collection[Path]) -> None:
        """Find the JSON files of the photos."""
        super().__init__(photos)
        self._files: dict[Path, Path] = {}
        for folder, inside in self.by_folder.items():
            listed = [path.name for path in self.files_in(folder).values()]
            files = [name for name in listed if name.lower().endswith(takeout.SUFFIX)]
            for photo, file in takeout.files_of_photos([one.name for one in inside], files).items():
                self._files[folder / photo] = folder / file

    def read(self, photo: Path) -> Said:
        """Return the names that Google Photos has for a photo."""
        file = self._files.get(photo)
        if file is None:
            return Said(PhotoPeople())
        return Said(self.parsed(file, takeout.MAX_BYTES, takeout.parse_takeout) or PhotoPeople())


def read_contacts(file: Path) -> dict[str, str]:
    """Return number and name of the contacts in Picasa's ``contacts.xml``.

    Raises:
        InputError: It cannot be read, or is another file; one line that names it.
    """
    try:
        with open_picture(file) as opened:
            return picasa.parse_contacts(opened.read(picasa.MAX_BYTES + 1))
    except InputError as error:
        raise InputError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error


def _agreed(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the numbers that all folders give the same name."""
    names: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        for number, name in part.items():
            names[number].add(name)
    return {number: next(iter(found)) for number, found in names.items() if len(found) == 1}
