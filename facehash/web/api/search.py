"""Searching through the API."""

from typing import Annotated

from fastapi import Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from facehash.web.api.base import JPEG, make_router
from facehash.web.models import Id, QueryInfo, ResultInfo
from facehash.web.service import photos, search
from facehash.web.state import session_of, state_of

router = make_router("search")

_PICTURE = {
    "requestBody": {
        "required": True,
        "description": "The bytes of a picture: JPEG, PNG, WebP, TIFF, GIF, BMP, ...",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

K = Annotated[int, Query(ge=1, le=search.MOST_HITS, description="Number of faces to find.")]
Person = Annotated[
    str | None, Query(max_length=200, description="Faces of this person only, by name.")
]
MaxDistance = Annotated[
    float | None, Query(ge=0, le=1e6, allow_inf_nan=False, description="Largest distance.")
]
OnlyKnown = Annotated[bool, Query(description="Only faces within the threshold.")]


@router.post("/queries", status_code=201, openapi_extra=_PICTURE)
async def upload(
    request: Request,
    name: Annotated[str, Query(max_length=200, description="Name of the file.")] = "",
) -> QueryInfo:
    """Upload a picture and find its faces; it is kept in memory for 30 minutes, for the session."""
    content = await request.body()
    if not content:
        raise HTTPException(400, "the picture is missing: send its bytes as the body")
    state = state_of(request)
    query = await search.upload(state, session_of(request), name, content)
    return search.describe_query(state, query)


@router.get("/queries/{identifier}")
async def get_query(request: Request, identifier: str) -> QueryInfo:
    """Return the faces of an uploaded picture."""
    state = state_of(request)
    return search.describe_query(state, search.find_query(state, session_of(request), identifier))


@router.get("/queries/{identifier}/results")
async def get_results(
    request: Request,
    identifier: str,
    face: Annotated[int, Query(ge=1, le=10_000)] = 1,
    k: K = 10,
    name: Person = None,
    max_distance: MaxDistance = None,
    only_known: OnlyKnown = False,
) -> ResultInfo:
    """Find the faces that are nearest to a face of an uploaded picture."""
    state = state_of(request)
    query = search.find_query(state, session_of(request), identifier)
    wanted = search.Filter(k, name, max_distance, only_known)
    return await search.search_query(state, query, face, wanted)


@router.get("/faces/{face}/similar")
async def get_similar(
    request: Request,
    face: Id,
    k: K = 10,
    name: Person = None,
    max_distance: MaxDistance = None,
    only_known: OnlyKnown = False,
) -> ResultInfo:
    """Find the faces that are nearest to a face of the library."""
    wanted = search.Filter(k, name, max_distance, only_known)
    return await search.search_face(state_of(request), face, wanted)


@router.get("/faces/{face}/crop", response_class=Response, responses=JPEG)
async def get_crop(request: Request, face: Id) -> Response:
    """Return the picture of a face."""
    return Response(await photos.crop(state_of(request), face), media_type="image/jpeg")
