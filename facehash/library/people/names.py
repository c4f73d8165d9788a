"""``--names``: names of faces from folders or from a list, applied at the end of an index run.

What a person said counts for more than where a photo lies. A name given by hand is never
overwritten. A list adds names, over those of folders; what an earlier list said stays unless
`replace` is asked for. Names of folders follow the folders: they go when the photo moves away.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from facehash.errors import InputError, did_you_mean
from facehash.library.people.folders import Level, name_of_folder, parse_level
from facehash.library.people.journal import statement
from facehash.library.people.lists import NameList, match_paths, read_list
from facehash.library.people.people import get_or_import_person
from facehash.library.storage.records import UNDER, path_of, under
from facehash.library.storage.store import Store

Kind = Literal["folders", "csv"]


@dataclass(frozen=True)
class Names:
    """The source of names."""

    kind: Kind | None  # None: no source
    listed: NameList | None = None  # for "csv"
    level: Level = 1  # for "folders"
    replace: bool = False  # whether the list replaces earlier lists


@dataclass(frozen=True)
class NamedFaces:
    """What a source of names did."""

    named: int = 0  # faces that had no name
    renamed: int = 0  # faces that had another name
    unnamed: int = 0  # faces that have no name any more
    unchanged: int = 0  # faces that have the name of the source already
    kept: int = 0  # faces that keep another name, or none, because a person said so
    unmatched: tuple[Path, ...] = ()  # files of the list for which the library has no such face
    contradicted: tuple[Path, ...] = ()  # photos that two names are given to; they get none

    @property
    def matched(self) -> int:
        """Number of faces that the source gives a name to."""
        given = self.named + self.renamed + self.unchanged + self.kept
        return given + len(self.contradicted)


def parse_names(names: str, folder: Path, replace: bool = False) -> Names:
    """Parse ``--names`` (``folders``, ``folders:LEVEL``, ``csv:FILE`` or ``none``).

    A list is read; its paths are relative to the folder being indexed.

    Args:
        names: The value of the option.
        folder: The folder being indexed.
        replace: Whether a list replaces what earlier lists said.

    Raises:
        InputError: Any other value, or a list that cannot be read.
    """
    kind, colon, rest = names.partition(":")
    if replace and kind != "csv":
        raise InputError(f"--replace-names needs a list, --names csv:FILE, not --names {names}")
    if names == "none":
        return Names(None)
    if names == "folders":
        return Names("folders")
    if kind == "folders" and colon:
        return Names("folders", level=parse_level(rest))
    if kind == "csv" and colon and rest:
        return Names("csv", read_list(Path(rest), folder), replace=replace)
    known = ["folders", "folders:LEVEL", "csv:FILE", "none"]
    raise InputError(f"--names {names}: not a source of names{did_you_mean(names, known)}")


def check_matches(store: Store, names: Names, files: Iterable[Path]) -> None:
    """Refuse a list of which no path is a photo, before any photo is read.

    Args:
        store: The library.
        names: The source of names.
        files: The picture files in the folder being indexed.

    Raises:
        InputError: None of the paths is one of the files, or known to the library.
    """
    if names.listed is None or not names.listed.names:
        return
    listed = sorted({path for path, _ in names.listed.names})
    known = [path_of(path) for (path,) in store.database.rows("SELECT path FROM paths")]
    if not match_paths(listed, [*known, *files]):
        raise InputError(
            f"{names.listed.file}: none of its paths is a photo of the folder or the library; they "
            f"are absolute or relative to {names.listed.folder}, so the first one means {listed[0]}"
        )


def apply_names(store: Store, folder: Path, names: Names) -> NamedFaces:
    """Name faces by a source of names; a list is a statement of the journal.

    The folder is an absolute path. Without a source nothing changes.

    Args:
        store: The library, locked for writing.
        folder: The folder that was indexed.
        names: The source of names.
    """
    if names.kind is None:
        return NamedFaces()
    with contextlib.ExitStack() as stack:
        if names.kind == "csv":
            stack.enter_context(statement(store, "list"))
        else:
            stack.enter_context(store.database.transaction())
        return _apply(store, folder, names)


class _Face(NamedTuple):
    """A stored face, once per path of its photo."""

    path: Path
    id: int
    number: int
    person: int | None
    named_by: str | None


def _apply(store: Store, folder: Path, names: Names) -> NamedFaces:
    faces = _faces(store, None if names.listed else folder)
    given, unmatched = _given(faces, folder, names)
    people = {name: get_or_import_person(store, name) for name in sorted({*given.values()})}
    wanted: dict[int, set[int]] = defaultdict(set)
    for (path, number), name in given.items():
        wanted[faces[path, number].id].add(people[name])
    rejected = set(store.database.rows(_REJECTED))
    count: Counter[str] = Counter()
    changes: dict[int, tuple[int | None, str | None]] = {}
    contradicted: dict[int, Path] = {}
    for face in faces.values():
        if face.id in changes:
            continue
        new = wanted.get(face.id, set())
        if len(new) > 1:
            contradicted.setdefault(face.id, face.path)
        if len(new) != 1:
            if _is_obsolete(face, folder, names):
                changes[face.id] = (None, None)
                count["unnamed"] += 1
            continue
        [person] = new
        changes[face.id] = (face.person, face.named_by)
        if person == face.person:
            count["unchanged"] += 1
            # A list confirms the name of a folder.
            if face.named_by == "folders":
                changes[face.id] = (person, names.kind)
        elif (face.id, person) in rejected or not _may_rename(face, names):
            count["kept"] += 1
        else:
            changes[face.id] = (person, names.kind)
            count["named" if face.person is None else "renamed"] += 1
    store.database.run_many(
        "UPDATE faces SET person_id = ?1, named_by = ?2 WHERE id = ?3 "
        "AND (person_id IS NOT ?1 OR named_by IS NOT ?2)",
        [(*state, face) for face, state in changes.items()],
    )
    store.prune()
    return NamedFaces(
        **count, unmatched=tuple(unmatched), contradicted=tuple(sorted({*contradicted.values()}))
    )


# Pairs of a face and a person it is not.
_REJECTED = """
    SELECT faces.id, rejections.person_id FROM rejections JOIN photos USING (digest)
    JOIN faces ON faces.photo_id = photos.id AND (faces.x, faces.y, faces.width, faces.height) =
        (rejections.x, rejections.y, rejections.width, rejections.height)"""


def _faces(store: Store, folder: Path | None) -> dict[tuple[Path, int], _Face]:
    """Return the faces of a folder, or all, by path and number, in the order of the paths."""
    where, values = ("", ()) if folder is None else (f"WHERE {UNDER}", under(folder))
    rows = store.database.rows(
        "SELECT paths.path, faces.id, faces.number, faces.person_id, faces.named_by "  # noqa: S608
        f"FROM paths JOIN faces ON faces.photo_id = paths.photo_id {where} ORDER BY paths.path",
        values,
    )
    faces = [_Face(path_of(path), *rest) for path, *rest in rows]
    return {(face.path, face.number): face for face in faces}


def _given(
    faces: Mapping[tuple[Path, int], _Face], folder: Path, names: Names
) -> tuple[dict[tuple[Path, int], str], list[Path]]:
    """Return the names that the source gives, and the files of a list that match no face."""
    if names.listed is None:
        found = {
            (path, number): name
            for path, number in faces
            if number == 1 and (name := name_of_folder(path, folder, names.level))
        }
        return found, []
    listed = names.listed.names
    meant = match_paths({path for path, _ in listed}, {path for path, _ in faces})
    given, unmatched = {}, set()
    for (path, number), name in listed.items():
        if path in meant and (meant[path], number) in faces:
            given[meant[path], number] = name
        else:
            unmatched.add(path)
    return given, sorted(unmatched)


def _is_obsolete(face: _Face, folder: Path, names: Names) -> bool:
    """Return whether a name goes because its source no longer gives it."""
    if names.kind == "folders":
        return face.named_by == "folders"
    return names.replace and face.named_by == "csv" and face.path.is_relative_to(folder)


def _may_rename(face: _Face, names: Names) -> bool:
    if face.named_by == "csv":
        return names.replace
    return face.named_by != "user"
