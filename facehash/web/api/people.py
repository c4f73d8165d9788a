"""People through the API."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from facehash.web import models
from facehash.web.api.base import Most, Start, make_router
from facehash.web.models import Id, Name
from facehash.web.service import people
from facehash.web.state import state_of

router = make_router("people")

Faces = Annotated[list[Id], Field(min_length=1, max_length=1000)]


class NewName(BaseModel):
    """A name."""

    name: Name


class NamedFaces(BaseModel):
    """Faces, and whose they are."""

    name: Name
    face_ids: Faces


class FaceIds(BaseModel):
    """Faces."""

    face_ids: Faces


class Merge(BaseModel):
    """People who are the same person."""

    people: Annotated[list[Id], Field(min_length=1, max_length=1000)]
    into: Id = Field(description="The person whose name remains.")


@router.get("/people")
async def list_people(request: Request, start: Start = 0, most: Most = 60) -> models.PeoplePage:
    """List people, those with the most photos first."""
    return await people.list_people(state_of(request), start, most)


@router.get("/people/{person}")
async def get_person(
    request: Request, person: Id, start: Start = 0, most: Most = 60
) -> models.PersonDetails:
    """Return a person with a part of the photos, the newest first."""
    return await people.get_person(state_of(request), person, start, most)


@router.patch("/people/{person}")
async def rename(request: Request, person: Id, new: NewName) -> models.Renamed:
    """Rename a person; the old name is remembered as an earlier one."""
    return await people.rename(state_of(request), person, new.name)


@router.delete("/people/{person}")
async def forget(request: Request, person: Id) -> models.Forgotten:
    """Forget a person, and erase the faces from the files of the library. Cannot be undone."""
    return await people.forget(state_of(request), person)


@router.post("/people/{person}/split")
async def split(request: Request, person: Id, given: NamedFaces) -> models.Renamed:
    """Give some faces of a person to another person."""
    return await people.split(state_of(request), person, given.face_ids, given.name)


@router.get("/merge-preview")
async def preview_merge(
    request: Request,
    person: Annotated[list[Id], Query(min_length=1, max_length=1000)],
    into: Annotated[int, Query(ge=1, le=2**53)],
) -> models.MergePreview:
    """Return what a merge would do."""
    return await people.preview_merge(state_of(request), person, into)


@router.post("/merge")
async def merge(request: Request, given: Merge) -> models.Renamed:
    """Merge people into one; their names become earlier names of that person."""
    return await people.merge(state_of(request), given.people, given.into)


@router.post("/names")
async def name_faces(request: Request, given: NamedFaces) -> models.Renamed:
    """Name faces by hand."""
    return await people.name_faces(state_of(request), given.name, given.face_ids)


@router.post("/names/remove")
async def unname(request: Request, given: FaceIds) -> models.Done:
    """Take the names of faces away, and remember that they are not these people."""
    return await people.unname(state_of(request), given.face_ids)


@router.delete("/faces/{face}")
async def forget_face(request: Request, face: Id) -> models.Forgotten:
    """Forget a face, and erase it from the files of the library. Cannot be undone."""
    return await people.forget(state_of(request), face_ids=[face])


@router.get("/statements")
async def list_statements(
    request: Request, most: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[models.StatementInfo]:
    """List what was said about names and can be undone, the newest first."""
    return await people.list_statements(state_of(request), most)


@router.post("/statements/{statement}/undo")
async def undo(request: Request, statement: Id) -> models.Done:
    """Undo the newest statement, if it is still this one."""
    return await people.undo(state_of(request), statement)
