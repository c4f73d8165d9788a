"""Pages of the search."""

import math
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from facehash.errors import InputError
from facehash.web.forms import read_form
from facehash.web.models import Id
from facehash.web.pages.render import go, render
from facehash.web.service import people, photos, search, status
from facehash.web.state import session_of, state_of

router = APIRouter(include_in_schema=False)

_FIRST, _MORE = 12, 12


@router.get("/")
async def show_start(request: Request) -> Response:
    """Show where to drop a picture, or what to do first with an empty library."""
    state = state_of(request)
    photo_count, face_count = await status.count_content(state)
    if face_count == 0:
        return render(
            request,
            "empty.html",
            "search",
            status_info=await status.get_status(state),
            may_choose=status.may_choose_folder(state),
        )
    page = await people.list_people(state, 0, 12)
    return render(
        request, "search.html", "search", photos=photo_count, faces=face_count, people=page.people
    )


@router.post("/search")
async def upload(request: Request) -> Response:
    """Take a picture, and show the faces found in it."""
    state = state_of(request)
    form = await read_form(request)
    file = await form.upload("picture")
    if file is None or not file[1]:
        raise HTTPException(400, "choose a picture first")
    query = await search.upload(state, session_of(request), *file)
    return go(request, f"/search/{query.id}")


@router.get("/search/{identifier}")
async def show_results(request: Request, identifier: str, face: str = "1") -> Response:
    """Show the faces of an uploaded picture, and the results for one of them."""
    state = state_of(request)
    query = search.find_query(state, session_of(request), identifier)
    info = search.describe_query(state, query)
    number = _number(face) or 1
    wanted = _filter(request)
    result = await search.search_query(state, query, number, wanted) if info.faces else None
    return await _show(
        request,
        wanted,
        f"/search/{query.id}",
        query=info,
        minutes=math.ceil(info.expires_in / 60),
        stored=None,
        face=number,
        result=result,
    )


@router.get("/search/{identifier}/picture")
async def show_picture(request: Request, identifier: str) -> Response:
    """Return the preview of an uploaded picture."""
    query = search.find_query(state_of(request), session_of(request), identifier)
    return Response(query.jpeg, media_type="image/jpeg")


@router.get("/search/{identifier}/crop/{face}")
async def show_query_crop(request: Request, identifier: str, face: Id) -> Response:
    """Return the picture of a face in an uploaded picture."""
    query = search.find_query(state_of(request), session_of(request), identifier)
    return Response(search.query_crop(query, face), media_type="image/jpeg")


@router.get("/faces/{face}/similar")
async def show_similar(request: Request, face: Id) -> Response:
    """Show the faces that are most similar to a face of the library."""
    state = state_of(request)
    wanted = _filter(request)
    result = await search.search_face(state, face, wanted)
    photo = await photos.photo_of_face(state, face)
    [stored] = [one for one in photo.faces if one.id == face]
    return await _show(
        request,
        wanted,
        f"/faces/{face}/similar",
        query=None,
        minutes=0,
        stored=stored,
        stored_photo=photo,
        face=1,
        result=result,
    )


@router.get("/faces/{face}/crop")
async def show_crop(request: Request, face: Id) -> Response:
    """Return the stored picture of a face."""
    return Response(await photos.crop(state_of(request), face), media_type="image/jpeg")


async def _show(request: Request, wanted: search.Filter, address: str, **values: Any) -> Response:
    """Return the page with results; the filter and the button for more stay at its address."""
    return render(
        request,
        "results.html",
        "search",
        wanted=wanted,
        names=await people.names(state_of(request)),
        base=address,
        more=_FIRST if wanted.k < _FIRST else wanted.k + _MORE,
        most=search.MOST_HITS,
        query_text=request.query_params.get("person", ""),
        **values,
    )


def _filter(request: Request) -> search.Filter:
    """Return the filter in the address of a page; what makes no sense is an error in one line."""
    given = request.query_params
    distance = given.get("distance", "").replace(",", ".")
    try:
        limit = float(distance) if distance else None
    except ValueError:
        limit = math.nan
    if limit is not None and not 0 <= limit < 1e6:
        raise InputError("the largest distance must be a number from 0")
    return search.Filter(
        k=min(_number(given.get("k", "")) or _FIRST, search.MOST_HITS),
        name=given.get("person", "").strip()[:200] or None,
        max_distance=limit,
        only_known=given.get("known") == "1",
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 9 else None
