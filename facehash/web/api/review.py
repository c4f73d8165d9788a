"""The review through the API."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from facehash.web import models
from facehash.web.api.base import Most, Start, make_router
from facehash.web.api.people import FaceIds
from facehash.web.models import Id, Name
from facehash.web.service import review
from facehash.web.state import state_of

router = make_router("review")


class Answer(BaseModel):
    """A face, and a person who was suggested for it."""

    face_id: Id
    name: Name


class ClusterName(BaseModel):
    """The name of a cluster."""

    name: Name
    exclude: list[Id] = Field([], max_length=1000, description="Faces that are somebody else.")


@router.get("/suggestions")
async def list_suggestions(
    request: Request,
    at_least: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)] = 0.5,
    most: Most = 24,
) -> models.SuggestionsPage:
    """Suggest names for faces without one, the most probable first."""
    return await review.list_suggestions(state_of(request), at_least, most)


@router.post("/suggestions/confirm")
async def confirm(request: Request, answer: Answer) -> models.Done:
    """Name a face as suggested."""
    return await review.confirm(state_of(request), answer.face_id, answer.name)


@router.post("/suggestions/reject")
async def reject(request: Request, answer: Answer) -> models.Done:
    """Remember that a face is not a person; the next person is suggested for it instead."""
    return await review.reject(state_of(request), answer.face_id, answer.name)


@router.post("/ignored")
async def ignore(request: Request, given: FaceIds) -> models.Done:
    """Ignore faces without a name."""
    return await review.ignore(state_of(request), given.face_ids)


@router.post("/ignored/remove")
async def unignore(request: Request, given: FaceIds) -> models.Done:
    """Ignore faces no longer."""
    return await review.unignore(state_of(request), given.face_ids)


@router.get("/clusters")
async def list_clusters(
    request: Request, start: Start = 0, most: Most = 12, ignored: bool = False
) -> models.ClustersPage:
    """List groups of faces that are probably of one person each, the largest first."""
    return await review.list_clusters(state_of(request), start, most, ignored=ignored)


@router.post("/clusters")
async def update_clusters(request: Request) -> models.Done:
    """Group the unknown faces that are in no group yet."""
    return await review.update_clusters(state_of(request))


@router.post("/clusters/{cluster}/name")
async def name_cluster(request: Request, cluster: Id, given: ClusterName) -> models.Renamed:
    """Name all faces of a group at once."""
    return await review.name_cluster(state_of(request), cluster, given.name, given.exclude)


@router.post("/clusters/{cluster}/ignore")
async def ignore_cluster(request: Request, cluster: Id) -> models.Done:
    """Ignore the faces of a group."""
    return await review.ignore_cluster(state_of(request), cluster)


@router.post("/clusters/{cluster}/show")
async def show_cluster(request: Request, cluster: Id) -> models.Done:
    """Ignore the faces of a group no longer."""
    return await review.ignore_cluster(state_of(request), cluster, again=True)
