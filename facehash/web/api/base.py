"""What all parts of the API share."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from facehash.web.models import Error

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": text}
    for status, text in {
        400: "The request makes no sense for this library.",
        401: "A token is needed.",
        403: "The CSRF token is missing, or the request comes from another site.",
        404: "There is no such thing.",
        409: "Another process is writing to the library, or something was said since.",
        413: "Too many bytes.",
        422: "A value has the wrong type.",
        429: "Too many requests.",
    }.items()
}
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}

Start = Annotated[int, Query(ge=0, le=10**9, description="Number of entries to skip.")]
Most = Annotated[int, Query(ge=1, le=500, description="Largest number of entries.")]


def make_router(tag: str) -> APIRouter:
    """Return a router for a part of the API."""
    return APIRouter(prefix="/api/v1", tags=[tag], responses=ERRORS)
