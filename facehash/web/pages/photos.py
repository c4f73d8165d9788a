"""Pages of photos, and their pictures."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from facehash.web.forms import is_number, read_form
from facehash.web.models import Id
from facehash.web.pages.render import Paging, go, render, sentence
from facehash.web.service import people, photos
from facehash.web.state import state_of

router = APIRouter(include_in_schema=False)

_MOMENTS = 60
"""Times of a video that a page lists."""


@router.get("/photos")
async def show_photos(request: Request, page: int = 1) -> Response:
    """Show all photos with faces, the newest first."""
    paging = Paging(page, photos.PAGE)
    found = await photos.list_photos(state_of(request), paging.start)
    return render(
        request,
        "photos.html",
        "photos",
        found=found,
        **paging.values(found.total),
    )


@router.get("/photos/{photo}")
async def show_photo(request: Request, photo: Id, face: str = "") -> Response:
    """Show a photo with frames and names; of a video one time, by default the first with a face."""
    state = state_of(request)
    found = await photos.get_photo(state, photo)
    chosen = int(face) if is_number(face) else None
    place = next((i for i, one in enumerate(found.moments) if chosen in one.face_ids), 0)
    first = max(0, place - _MOMENTS // 2)
    moment = found.moments[place] if found.moments else None
    return render(
        request,
        "photo.html",
        "photos",
        photo=found,
        chosen=chosen,
        moment=moment,
        faces=[one for one in found.faces if moment is None or one.id in moment.face_ids],
        moments=found.moments[first : first + _MOMENTS],
        # Those before and after; the nearest of them leads on.
        earlier=found.moments[:first],
        later=found.moments[first + _MOMENTS :],
        in_tenths=len({int(one.seconds) for one in found.moments}) < len(found.moments),
        names=await people.names(state),
        statements=await people.list_statements(state, 1),
    )


@router.post("/photos/{photo}/name")
async def name_face(request: Request, photo: Id) -> Response:
    """Name a face of a photo, or take its name away."""
    state, form = state_of(request), await read_form(request)
    face = form.number("face")
    if form.text("do") == "unname":
        message = (await people.unname(state, [face])).message
    else:
        message = (await people.name_faces(state, form.text("name"), [face])).message
    return go(request, f"/photos/{photo}?face={face}", f"{message}.")


@router.post("/photos/{photo}/faces")
async def add_face(request: Request, photo: Id) -> Response:
    """Add a face that the detector missed."""
    state, form = state_of(request), await read_form(request)
    x, y, width, height = (form.decimal(name) for name in ("x", "y", "w", "h"))
    done = await photos.add_face(state, photo, (x, y, width, height), form.text("name"))
    hint = "" if done.found else " It is not clear enough for suggestions."
    return go(request, f"/photos/{photo}", sentence(done.message) + hint)


@router.post("/photos/{photo}/remove")
async def remove_face(request: Request, photo: Id) -> Response:
    """Remove a face that was added by hand."""
    form = await read_form(request)
    done = await photos.remove_face(state_of(request), form.number("face"))
    return go(request, f"/photos/{photo}", sentence(done.message))


@router.get("/photos/{photo}/image")
async def show_image(request: Request, photo: Id, face: Id | None = None) -> Response:
    """Return a photo for a screen, or the frame of a video with a face."""
    return Response(await photos.image(state_of(request), photo, face), media_type="image/jpeg")


@router.get("/photos/{photo}/thumbnail")
async def show_thumbnail(request: Request, photo: Id, face: Id | None = None) -> Response:
    """Return a small copy of a photo, or of the frame of a video with a face."""
    return Response(await photos.thumbnail(state_of(request), photo, face), media_type="image/jpeg")
