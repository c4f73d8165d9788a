"""People: list, rename, merge, split, un-name, undo, forget."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException

from facehash.library.ingest.added import restore_added
from facehash.library.people import edit, journal
from facehash.library.people.forget import (
    Forgotten,
    PendingEraseError,
    forget_faces,
    forget_person,
)
from facehash.library.people.people import check_name, earlier_names
from facehash.library.query import browse
from facehash.library.storage.store import Store
from facehash.printing import counted
from facehash.web import models
from facehash.web.service.photos import describe_overview
from facehash.web.state import State

PAGE = 60
_MOST_FACES = 1000
_MOST_PARTS = 3
_KINDS = {
    "name": "named",
    "unname": "name removed",
    "split": "moved",
    "merge": "merged",
    "rename": "new name",
    "list": "named by a list",
    "xmp": "named as in your photo program",
    "picasa": "named as in Picasa",
    "takeout": "named as in Google Photos",
    "restore": "names brought back from a backup",
    "confirm": "confirmed",
    "reject": "rejected",
    "ignore": "ignored",
    "unignore": "shown again",
    "auto": "named automatically",
    "add-face": "face added",
    "remove-face": "face removed",
}
_ABOUT_FACES = ("ignore", "unignore", "add-face", "remove-face")
"""Kinds whose words say already what was said about the faces."""
_ARROW = "\N{RIGHTWARDS ARROW}"


def describe(person: browse.PersonOverview) -> models.PersonInfo:
    """Return a person as plain values."""
    return models.PersonInfo(
        id=person.id,
        name=person.name,
        faces=person.faces,
        photos=person.photos,
        face_id=person.face_id,
    )


async def list_people(state: State, start: int = 0, most: int = PAGE) -> models.PeoplePage:
    """Return a part of all people, those with the most photos first."""

    def task(store: Store) -> models.PeoplePage:
        with store.database.snapshot():
            return models.PeoplePage(
                total=browse.count_people(store),
                unnamed_faces=browse.count_unnamed(store),
                people=[describe(one) for one in browse.list_people(store, start, most)],
            )

    return await state.threads.read(task)


async def names(state: State) -> list[str]:
    """Return the names of all people, for suggestions while typing."""
    return await state.threads.read(browse.list_names)


async def get_person(
    state: State, person: int, start: int = 0, most: int = PAGE
) -> models.PersonDetails:
    """Return a person with a part of the photos, the newest first.

    Raises:
        LibraryError: There is no such person.
    """

    def task(store: Store) -> models.PersonDetails:
        with store.database.snapshot():
            found = browse.person_by_id(store, person)
            return models.PersonDetails(
                **describe(found).model_dump(),
                earlier_names=earlier_names(store).get(found.name, []),
                photo_list=[
                    describe_overview(state, one)
                    for one in browse.photos_of_person(store, person, start, most)
                ],
            )

    return await state.threads.read(task)


async def person_exists(state: State, person: int) -> bool:
    """Return whether a person has a face."""
    return await state.threads.read(lambda store: browse.has_face(store, person))


async def name_faces(state: State, name: str, face_ids: Sequence[int]) -> models.Renamed:
    """Name faces by hand."""

    def task(store: Store) -> models.Renamed:
        edit.name_faces(store, name, _few(face_ids))
        return _renamed(store, name, f"{counted(len(set(face_ids)), 'face')} named {name.strip()}")

    return await state.threads.write(task)


async def rename(state: State, person: int, name: str) -> models.Renamed:
    """Change the name of a person."""

    def task(store: Store) -> models.Renamed:
        before = browse.person_by_id(store, person).name
        edit.rename_person(store, before, name)
        return _renamed(store, name, f"{before} is now {check_name(name)}")

    return await state.threads.write(task)


async def preview_merge(state: State, people: Sequence[int], into: int) -> models.MergePreview:
    """Return what a merge would do.

    Raises:
        HTTPException: 400 if there is nobody to merge.
    """

    def task(store: Store) -> models.MergePreview:
        others = [browse.person_by_id(store, one) for one in _others(people, into)]
        remains = browse.person_by_id(store, into)
        return models.MergePreview(
            into=describe(remains),
            people=[describe(one) for one in others],
            faces=remains.faces + sum(one.faces for one in others),
        )

    return await state.threads.read(task)


async def merge(state: State, people: Sequence[int], into: int) -> models.Renamed:
    """Merge people into one; their names become earlier names of that person."""

    def task(store: Store) -> models.Renamed:
        merged = [browse.person_by_id(store, one).name for one in _others(people, into)]
        remains = browse.person_by_id(store, into).name
        done = edit.merge_people(store, merged, remains)
        parked = f"; {_waiting(done.parked)} for a photo" if done.parked else ""
        return _renamed(store, remains, f"{', '.join(merged)} merged into {remains}{parked}")

    return await state.threads.write(task)


async def split(state: State, person: int, face_ids: Sequence[int], into: str) -> models.Renamed:
    """Give some faces of a person to another person."""

    def task(store: Store) -> models.Renamed:
        name = browse.person_by_id(store, person).name
        edit.split_person(store, name, _few(face_ids), into)
        return _renamed(
            store, into, f"{counted(len(set(face_ids)), 'face')} of {name} named {into.strip()}"
        )

    return await state.threads.write(task)


async def unname(state: State, face_ids: Sequence[int]) -> models.Done:
    """Take the names of faces away, and remember that they are not these people."""

    def task(store: Store) -> models.Done:
        number = edit.unname_faces(store, _few(face_ids))
        return models.Done(message=f"{counted(number, 'face')} without a name now")

    return await state.threads.write(task)


async def list_statements(state: State, most: int = 20) -> list[models.StatementInfo]:
    """Return what can be undone, the newest first."""

    def task(store: Store) -> list[models.StatementInfo]:
        return [_statement(one) for one in journal.list_statements(store, most)]

    return await state.threads.read(task)


async def undo(state: State, statement: int) -> models.Done:
    """Undo the newest statement.

    Args:
        state: The server.
        statement: Its id, so that nobody undoes by mistake what another window has said since.

    Raises:
        HTTPException: 409 if another statement is the newest one.
    """

    def task(store: Store) -> models.Done:
        newest = journal.list_statements(store, 1)
        if not newest or newest[0].id != statement:
            raise HTTPException(409, "this was undone already, or something else was said since")
        [undone] = journal.undo(store)
        restore_added(store, [undone], state.options.make_pipeline)
        parts = [f"undone: {_statement(undone.statement).text}"]
        if undone.parked:
            parts.append(f"{_waiting(undone.parked)} until the photo is back")
        if undone.kept:
            parts.append(
                f"not undone for {counted(undone.kept, 'face')}, gone or changed since then"
            )
        return models.Done(message="; ".join(parts))

    return await state.threads.write(task)


async def forget(
    state: State, person: int | None = None, face_ids: Sequence[int] = ()
) -> models.Forgotten:
    """Forget a person or faces, and erase them from the files of the library."""

    def task(store: Store) -> models.Forgotten:
        erased = True
        faces = browse.count_faces(store)
        gone = None
        try:
            if person is not None:
                gone = forget_person(store, browse.person_by_id(store, person).name)
            else:
                gone = forget_faces(store, _few(face_ids))
        except PendingEraseError:
            erased = False
        if gone is None:
            gone = Forgotten(faces - browse.count_faces(store), 0, 0)
        what = f"forgotten: {counted(gone.faces, 'face')}, {counted(gone.photos, 'photo')}"
        return models.Forgotten(
            message=what, faces=gone.faces, photos=gone.photos, left=gone.left, erased=erased
        )

    return await state.threads.write(task)


def _renamed(store: Store, name: str, message: str) -> models.Renamed:
    return models.Renamed(message=message, person_id=browse.person_of_name(store, check_name(name)))


def _waiting(names: int) -> str:
    return f"{counted(names, 'name')} {'waits' if names == 1 else 'wait'}"


def _few(face_ids: Sequence[int]) -> list[int]:
    if not face_ids:
        raise HTTPException(400, "choose at least one face")
    if len(face_ids) > _MOST_FACES:
        raise HTTPException(400, f"choose at most {_MOST_FACES} faces at once")
    return sorted(set(face_ids))


def _others(people: Sequence[int], into: int) -> list[int]:
    others = sorted(set(people) - {into})
    if not others:
        raise HTTPException(400, "choose at least two people to merge")
    return others[:_MOST_FACES]


def _statement(one: journal.Statement) -> models.StatementInfo:
    parts = [f"{old} renamed to {new}" for old, new in one.renamed]
    parts += [
        f"{counted(faces, 'face')}: {before or 'no name'} {_ARROW} {after or 'no name'}"
        for before, after, faces in one.people
    ]
    parts += [
        counted(faces, "face") + ("" if one.kind in _ABOUT_FACES else f" {words}")
        for words, faces in one.said
    ]
    shown = "; ".join(parts[:_MOST_PARTS]) + (", and more" if len(parts) > _MOST_PARTS else "")
    kind = _KINDS.get(one.kind, one.kind)
    return models.StatementInfo(
        id=one.id, kind=one.kind, made=one.made, text=f"{kind}: {shown}" if shown else kind
    )
