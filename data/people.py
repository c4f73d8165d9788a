"""Finding the images of people in folders, which may be the parts of a split.

``<identity>/<image>``, or ``train/<identity>/<image>`` beside ``test/<identity>/<image>``.
"""

import logging
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.conversion import SourceError
from data.labeled_images import Role
from facehash.images.passed_over import Kind, PassedOver
from facehash.images.read import IMAGE_SUFFIXES

log = logging.getLogger(__name__)

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "gallery": "gallery",
    "test": "query",
    "testing": "query",
    "query": "query",
    "probe": "query",
}
"""Names of folders that are parts of a split, in lower case, and what they contain."""


@dataclass(frozen=True)
class Listing:
    """The images in folders of people."""

    # Roles and images, sorted by person, then by name; the role is None without a split.
    parts: Sequence[tuple[Role | None, Sequence[Path]]]
    passed_over: PassedOver  # whatever is not read

    @property
    def files(self) -> list[Path]:
        """All images."""
        return [path for _, files in self.parts for path in files]


def list_people(root: Path) -> Listing:
    """List the images of all people.

    If every folder in `root` has one of the names of `PARTS`, in upper or lower case, these are the
    parts of a split. Beside any other folder, these names are those of people.

    ``test``, ``query`` or ``probe`` contains the queries; if there is none of them, ``val`` does.
    Else ``val`` belongs to ``train``. ``train`` is both training set and gallery, unless there is
    a ``gallery``; a ``gallery`` without ``train`` is both as well.

    Args:
        root: The folder.

    Returns:
        The images, and the links to what does not exist, which turn out to be unreadable. So do
        images that cannot be examined. The folder of a person that cannot be listed is passed over.

    Raises:
        SourceError: There are no images, they are not in folders of people, a part is missing, or
            it or the folder cannot be listed.
    """
    passed_over = PassedOver()
    parts = [Path(one.path) for one in _entries(root) if _is_folder(one) and not _is_hidden(one)]
    is_split = bool(parts) and all(part.name.casefold() in PARTS for part in parts)
    files = _people(root, root, passed_over, within=not is_split)
    if not is_split:
        if not files:
            seen = f"; passed over: {passed_over}" if passed_over else ""
            raise SourceError(
                f"{root}: no images found; expected one folder per person, <identity>/<image>{seen}"
            )
        return Listing([(None, files)], passed_over)
    roles = _roles(root, parts)
    found: list[tuple[Role, Sequence[Path]]] = []
    for part, role in zip(parts, roles, strict=True):
        images = _people(part, root, passed_over)
        found.append((role, images))
        if not images:
            raise SourceError(
                f"{root}: {_listed(parts)} are the parts of a split, but {part.name} has no images "
                f"in folders of people; expected {part.name}/<identity>/<image>: move each image "
                "into a folder with the name of its person"
            )
    log.info("%s: %s are taken for the parts of a split", root, _listed(parts))
    found.append((roles[0], files))  # links to nowhere
    found.sort(key=lambda one: one[0].value)
    return Listing(found, passed_over)


def _roles(root: Path, parts: Sequence[Path]) -> list[Role]:
    """Return the roles of the images in each part of a split."""
    kinds = [PARTS[part.name.casefold()] for part in parts]
    queries = "query" if "query" in kinds else "val"
    if kinds.count(queries) > 1:
        raise SourceError(
            f"{root}: contains {_listed(parts)}; expected one folder of queries, test or query"
        )
    others = {*kinds} - {queries}
    if queries not in kinds or not others:
        missing = "test" if others else "train"
        raise SourceError(
            f"{root}: contains {_listed(parts)} only; add {missing}/<identity>/<image> for a split "
            f"of your own, or pass {parts[0]} to draw the queries from it"
        )
    if others > {"gallery"}:
        training, gallery = Role.TRAIN, Role.GALLERY
    else:
        training = gallery = Role.TRAIN | Role.GALLERY
    return [
        Role.QUERY if kind == queries else gallery if kind == "gallery" else training
        for kind in kinds
    ]


def _listed(parts: Iterable[Path]) -> str:
    return " and ".join(f"{part.name}/" for part in parts)


def _people(folder: Path, root: Path, passed_over: PassedOver, within: bool = True) -> list[Path]:
    """List the images of the people in a folder, sorted by person, then by name.

    Without `within`, the folders in it are not searched.
    """
    files: list[Path] = []
    for entry in _entries(folder):
        if _is_hidden(entry) or not _is_folder(entry):
            _pass_over(entry, passed_over, files)
        elif within:
            files += _images(Path(entry.path), root, passed_over)
    return files


def _images(person: Path, root: Path, passed_over: PassedOver) -> list[Path]:
    """List the images of one person, sorted by name."""
    files: list[Path] = []
    try:
        entries = _entries(person)
    except SourceError as error:
        _pass_over_closed(person, root, passed_over, error.__cause__ or error)
        return files
    for entry in entries:
        path = Path(entry.path)
        if _is_hidden(entry):
            _pass_over(entry, passed_over, files)
        elif _has_suffix(path) and _may_be_file(path):
            files.append(path)
        elif _is_folder(entry) and not os.path.islink(path):
            _pass_over_folder(path, root, passed_over)
        else:
            _pass_over(entry, passed_over, files)
    if not files:
        passed_over.add(Kind.NO_IMAGES, note=f"the first is {person.relative_to(root)}")
    return files


def _pass_over_folder(folder: Path, root: Path, passed_over: PassedOver) -> None:
    """Count what is in a folder inside a person's folder."""

    def pass_over_closed(error: OSError) -> None:
        _pass_over_closed(Path(os.fsdecode(error.filename)), root, passed_over, error)

    for place, _, names in os.walk(folder, onerror=pass_over_closed):
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith("."):
                passed_over.add(Kind.HIDDEN)
            elif _has_suffix(path):
                first = path.relative_to(root)
                note = f"the first is {first}; move them up, to {first.parts[0]}/{name}"
                passed_over.add(Kind.TOO_DEEP, note=note)
            else:
                passed_over.add_file(path)


def _pass_over_closed(
    folder: Path, root: Path, passed_over: PassedOver, error: BaseException
) -> None:
    """Count a folder that cannot be listed."""
    why = error.strerror if isinstance(error, OSError) else error
    passed_over.add(Kind.CLOSED, note=f"the first is {folder.relative_to(root)}: {why}")


def _pass_over(entry: os.DirEntry[str], passed_over: PassedOver, files: list[Path]) -> None:
    """Count an entry that is not read; a link to what does not exist counts as an image."""
    path = Path(entry.path)
    if _is_hidden(entry):
        passed_over.add(Kind.HIDDEN)
    elif os.path.islink(path) and not os.path.exists(path):
        files.append(path)
    elif _is_folder(entry):
        passed_over.add(Kind.LINK)
    elif not os.path.isfile(path):
        passed_over.add(Kind.SPECIAL)
    elif _has_suffix(path):
        passed_over.add(Kind.OUTSIDE)
    else:
        passed_over.add_file(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        # The method of a link to itself raises an error.
        return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
    except OSError:  # not told by the listing, and refused; listing it shows what it is
        return True


def _may_be_file(path: Path) -> bool:
    """Return whether a path is a file, or cannot be examined; reading it shows the reason."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _has_suffix(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
