"""``--names``: names of faces from folders, lists and programs, applied after an index run.

What a person said counts for more than where a photo lies. A name given by hand is never
overwritten. A list adds names, over those of folders; what an earlier list said stays unless
`replace` is asked for. Names that other programs wrote are treated as those of a list; `replace`
changes such names, and never removes one that the program does not know. Names of folders follow
the folders: they go when the photo moves away.
"""

import contextlib
import dataclasses
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from facehash.errors import InputError, did_you_mean
from facehash.images.metadata.sources import read_contacts
from facehash.library.people.journal import statement
from facehash.library.people.people import current_name, get_or_import_person
from facehash.library.people.sources.folders import Level, name_of_folder, parse_level
from facehash.library.people.sources.lists import NameList, match_paths, read_list
from facehash.library.people.sources.programs import (
    PROGRAMS,
    Missed,
    Program,
    ProgramNames,
    Unplaced,
)
from facehash.library.people.sources.programs import read_names as read_names_of_program
from facehash.library.storage.records import UNDER, UnreadFile, path_of, under
from facehash.library.storage.store import Store

Kind = Literal["folders", "csv"] | Program


@dataclass(frozen=True)
class Names:
    """The source of names."""

    kind: Kind | None  # None: no source
    listed: NameList | None = None  # for "csv"
    level: Level = 1  # for "folders"
    replace: bool = False  # whether the list or program replaces earlier ones
    file: Path | None = None  # for programs: a folder of sidecars, or contacts.xml

    @property
    def program(self) -> Program | None:
        """The program that wrote the names, None for folders and lists."""
        return next((one for one in PROGRAMS if one == self.kind), None)

    @property
    def origin(self) -> str | None:
        """What the library stores as the origin of the names; programs count as lists."""
        return "csv" if self.program else self.kind


@dataclass(frozen=True)
class Conflict:
    """A face that keeps its name, or none, although a source gives it another."""

    path: Path
    number: int  # of the face in the photo
    name: str | None  # the name that it keeps
    given: str
    by_hand: bool  # whether it was named, or unnamed, by hand


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
    conflicts: tuple[Conflict, ...] = ()  # the faces that `kept` counts
    regions: int = 0  # of a program: regions with a name
    photos: int = 0  # of a program: photos with names
    missed: tuple[Missed, ...] = ()  # of a program: regions without a face of the library
    unplaced: tuple[Unplaced, ...] = ()  # of a program: names of somebody in a photo
    problems: tuple[UnreadFile, ...] = ()  # of a program: files not or only partly understood

    @property
    def matched(self) -> int:
        """Number of faces that the source gives a name to."""
        given = self.named + self.renamed + self.unchanged + self.kept
        return given + len(self.contradicted)


def parse_names(names: str, folder: Path, replace: bool = False) -> Names:
    """Parse ``--names``.

    The value is ``folders``, ``folders:LEVEL``, ``csv:FILE``, ``xmp``, ``xmp:FOLDER``, ``picasa``,
    ``picasa:FILE``, ``takeout`` or ``none``. A list is read; its paths are relative to the folder
    being indexed.

    Args:
        names: The value of the option.
        folder: The folder being indexed.
        replace: Whether a list or program replaces what earlier ones said.

    Raises:
        InputError: Any other value, or a list that cannot be read.
    """
    kind, colon, rest = names.partition(":")
    if replace and kind not in ("csv", *PROGRAMS):
        raise InputError(
            "--replace-names needs names of a list or a program, such as --names csv:FILE or "
            f"--names xmp, not --names {names}"
        )
    if names == "none":
        return Names(None)
    if names == "folders":
        return Names("folders")
    if kind == "folders" and colon:
        return Names("folders", level=parse_level(rest))
    if kind == "csv" and colon and rest:
        return Names("csv", read_list(Path(rest), folder), replace=replace)
    program = next((one for one in PROGRAMS if one == kind), None)
    if program and not colon:
        return Names(program, replace=replace)
    if program in ("xmp", "picasa") and rest:
        return Names(program, replace=replace, file=_file_of(program, Path(rest)))
    known = [
        "folders", "folders:LEVEL", "csv:FILE", "xmp", "xmp:FOLDER", "picasa", "picasa:FILE",
        "takeout", "none",
    ]  # fmt: skip
    raise InputError(f"--names {names}: not a source of names{did_you_mean(names, known)}")


def _file_of(program: Program, path: Path) -> Path:
    """Return the absolute path of what a program keeps elsewhere.

    Raises:
        InputError: There is no such folder or file.
    """
    if program == "xmp" and not path.is_dir():
        raise InputError(f"{path}: no such folder; --names xmp:FOLDER reads the sidecars in it")
    if program == "picasa":
        read_contacts(path)
    return Path(os.path.realpath(path))


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


def apply_names(store: Store, folder: Path, names: Names, *, progress: bool = False) -> NamedFaces:
    """Name faces by a source of names; a list, or a program, is a statement of the journal.

    The folder is an absolute path. Without a source nothing changes.

    Args:
        store: The library, locked for writing.
        folder: The folder that was indexed.
        names: The source of names.
        progress: Show a progress bar where many files are read.
    """
    if names.kind is None:
        return NamedFaces()
    said = None
    if names.program:
        # Before the statement: reading takes a while and changes nothing.
        said = read_names_of_program(store, folder, names.program, names.file, progress)
    with contextlib.ExitStack() as stack:
        if names.kind == "folders":
            stack.enter_context(store.database.transaction())
        else:
            stack.enter_context(statement(store, "list" if names.kind == "csv" else names.kind))
        return _apply(store, folder, names, said)


class _Face(NamedTuple):
    """A stored face, once per path of its photo."""

    path: Path
    id: int
    number: int
    person: int | None
    named_by: str | None


def _apply(store: Store, folder: Path, names: Names, said: ProgramNames | None) -> NamedFaces:
    faces = _faces(store, None if names.listed else folder)
    given, unmatched = (said.names, []) if said else _given(faces, folder, names)
    people = {name: get_or_import_person(store, name) for name in sorted({*given.values()})}
    wanted: dict[int, set[int]] = defaultdict(set)
    for (path, number), name in given.items():
        wanted[faces[path, number].id].add(people[name])
    rejected = set(store.database.rows(_REJECTED))
    count: Counter[str] = Counter()
    changes: dict[int, tuple[int | None, str | None]] = {}
    contradicted: dict[int, Path] = {}
    conflicts: list[Conflict] = []
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
                changes[face.id] = (person, names.origin)
        elif (is_rejected := (face.id, person) in rejected) or not _may_rename(face, names):
            count["kept"] += 1
            conflicts.append(
                Conflict(
                    face.path,
                    face.number,
                    current_name(store, face.person),
                    current_name(store, person) or "",
                    by_hand=is_rejected or face.named_by == "user",
                )
            )
            if face.named_by == "folders" and names.kind == "folders":
                changes[face.id] = (None, None)
        else:
            changes[face.id] = (person, names.origin)
            count["named" if face.person is None else "renamed"] += 1
    store.database.run_many(
        "UPDATE faces SET person_id = ?1, named_by = ?2 WHERE id = ?3 "
        "AND (person_id IS NOT ?1 OR named_by IS NOT ?2)",
        [(*state, face) for face, state in changes.items()],
    )
    store.prune()
    result = NamedFaces(
        named=count["named"],
        renamed=count["renamed"],
        unnamed=count["unnamed"],
        unchanged=count["unchanged"],
        kept=count["kept"],
        unmatched=tuple(unmatched),
        contradicted=tuple(sorted({*contradicted.values()})),
        conflicts=tuple(conflicts),
    )
    if said is None:
        return result
    return dataclasses.replace(
        result,
        regions=said.regions,
        photos=said.photos,
        missed=said.missed,
        unplaced=said.unplaced,
        problems=said.problems,
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
    is_list = names.kind == "csv" and names.replace
    return is_list and face.named_by == "csv" and face.path.is_relative_to(folder)


def _may_rename(face: _Face, names: Names) -> bool:
    if face.named_by == "csv":
        return names.replace
    return face.named_by != "user"
