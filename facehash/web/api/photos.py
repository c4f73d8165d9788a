"""Photos through the API."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from facehash.web import models
from facehash.web.api.base import JPEG, Most, Start, make_router
from facehash.web.models import Id
from facehash.web.service import photos
from facehash.web.state import state_of

router = make_router("photos")

Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


@router.get("/photos")
async def list_photos(request: Request, start: Start = 0, most: Most = 60) -> models.PhotosPage:
    """List photos with faces, the newest first."""
    return await photos.list_photos(state_of(request), start, most)


@router.get("/photos/{photo}")
async def get_photo(request: Request, photo: Id) -> models.PhotoDetails:
    """Return a photo with its faces."""
    return await photos.get_photo(state_of(request), photo)


InVideo = Annotated[
    Id | None, Query(description="Of a video, the frame with this face; by default the first.")
]


@router.get("/photos/{photo}/image", response_class=Response, responses=JPEG)
async def get_image(request: Request, photo: Id, face: InVideo = None) -> Response:
    """Return the upright photo or a frame of a video, of at most 1,600 x 1,600 pixels."""
    return Response(await photos.image(state_of(request), photo, face), media_type="image/jpeg")


@router.get("/photos/{photo}/thumbnail", response_class=Response, responses=JPEG)
async def get_thumbnail(request: Request, photo: Id, face: InVideo = None) -> Response:
    """Return a small copy of the photo or frame, of at most 480 x 480 pixels."""
    return Response(await photos.thumbnail(state_of(request), photo, face), media_type="image/jpeg")


class NewFace(BaseModel):
    """A face that the detector missed."""

    box: tuple[Number, Number, Number, Number] = Field(
        description="x, y, width and height in pixels of the upright photo."
    )
    name: Annotated[str, Field(max_length=200)] = ""


@router.post("/photos/{photo}/faces", status_code=201)
async def add_face(request: Request, photo: Id, new: NewFace) -> models.Added:
    """Add a face that the detector missed."""
    return await photos.add_face(state_of(request), photo, new.box, new.name)


@router.post("/faces/{face}/remove-added")
async def remove_face(request: Request, face: Id) -> models.Done:
    """Remove a face that was added by hand; it can be undone."""
    return await photos.remove_face(state_of(request), face)
