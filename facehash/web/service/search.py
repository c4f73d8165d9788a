"""Searching: for an uploaded picture, and for a face of the library."""

from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException

from facehash.library.ingest.read import encode_jpeg
from facehash.library.query.browse import places_of
from facehash.library.query.faces import QueryFace
from facehash.library.query.identify import probable_people
from facehash.library.query.library import Library
from facehash.library.query.results import UNITS, Hit, QueryResult
from facehash.web.models import HitInfo, QueryFaceInfo, QueryInfo, ResultInfo
from facehash.web.sessions import Query, Session
from facehash.web.state import State

PREVIEW_SIDE = 1280
MOST_HITS = 200


@dataclass(frozen=True)
class Filter:
    """Which of the faces found are wanted."""

    k: int = 12
    name: str | None = None  # of this person only
    max_distance: float | None = None
    only_known: bool = False  # within the threshold only


async def upload(state: State, session: Session, name: str, content: bytes) -> Query:
    """Find the faces of a picture, and keep them for the session; the picture is not stored.

    Raises:
        HTTPException: 413 if it is too large.
        UnreadableImageError: It cannot be decoded.
        LibraryError: The library is empty or damaged.
    """
    if len(content) > state.options.max_upload_bytes:
        most = state.options.max_upload_bytes / 1_000_000
        raise HTTPException(413, f"the picture is too large, at most {most:g} MB can be sent")
    name = Path(name.replace("\\", "/")).name[:200]
    shown = name or "the picture"
    read = await state.threads.decode(
        lambda reader: reader.read_upload(content, shown, PREVIEW_SIDE)
    )
    faces: tuple[QueryFace, ...] = ()
    if read.faces:
        faces = await state.threads.search(
            lambda library: library.prepare(read.faces, read.crops, read.scale)
        )
    return state.sessions.add_query(
        session, name, faces, read.preview.jpeg, read.preview.size, read.damage
    )


def find_query(state: State, session: Session, identifier: str) -> Query:
    """Return an uploaded picture of this session.

    Raises:
        HTTPException: 404 if it has expired, or is another session's.
    """
    query = state.sessions.query(session, identifier)
    if query is None:
        raise HTTPException(404, "this search has expired; choose the picture again")
    return query


def describe_query(state: State, query: Query) -> QueryInfo:
    """Return an uploaded picture as plain values."""
    return QueryInfo(
        id=query.id,
        name=query.name,
        width=query.size[0],
        height=query.size[1],
        damage=query.damage,
        expires_in=state.sessions.seconds_left(query),
        faces=[
            QueryFaceInfo(face=face.face, box=face.box, no_verdict=face.no_verdict)
            for face in query.faces
        ],
    )


def query_crop(query: Query, face: int) -> bytes:
    """Return the picture of a face in an uploaded picture as a JPEG.

    Raises:
        HTTPException: 404 if there is no such face.
    """
    crop = query.faces[face - 1].crop if face <= len(query.faces) else None
    if crop is None:
        raise HTTPException(404, f"the picture has no face {face}")
    return encode_jpeg(crop)


async def search_query(state: State, query: Query, face: int, wanted: Filter) -> ResultInfo:
    """Search for a face of an uploaded picture.

    Raises:
        HTTPException: 404 if there is no such face.
    """
    if not 1 <= face <= len(query.faces):
        raise HTTPException(404, f"the picture has no face {face}")
    return await state.threads.search(
        lambda library: _search(state, library, query.faces[face - 1], wanted, None)
    )


async def search_face(state: State, face_id: int, wanted: Filter) -> ResultInfo:
    """Search for a face of the library; the face itself is not among the results."""
    return await state.threads.search(
        lambda library: _search(state, library, library.stored_face(face_id), wanted, face_id)
    )


def _search(
    state: State, library: Library, face: QueryFace, wanted: Filter, itself: int | None
) -> ResultInfo:
    """Search on until there are as many wanted hits, and one more to know that there are more."""
    name = wanted.name
    limit = library.threshold if wanted.only_known else None
    if wanted.max_distance is not None:
        limit = wanted.max_distance if limit is None else min(limit, wanted.max_distance)
    ask = wanted.k + 2
    while True:
        [result] = library.search_faces([face], ask, max_distance=limit)
        hits = [
            hit
            for hit in result.hits
            if hit.face_id != itself and (name is None or hit.name == name)
        ]
        if len(hits) > wanted.k or len(result.hits) < ask:
            break
        ask *= 4
    return ResultInfo(
        face=face.face,
        metric=result.metric,
        unit=UNITS[result.metric],
        threshold=library.threshold,
        more=len(hits) > wanted.k,
        hits=_describe(state, library, result, hits[: wanted.k], itself),
    )


def _describe(
    state: State, library: Library, result: QueryResult, hits: list[Hit], itself: int | None
) -> list[HitInfo]:
    chances = probable_people(library.store, library.settings, result, itself)
    places = places_of(library.store, [hit.face_id for hit in hits])
    described = []
    for rank, hit in enumerate(hits, start=1):
        place = places.get(hit.face_id)
        if place is None:
            continue  # forgotten a moment ago
        files = (hit.path, *hit.copies)
        described.append(
            HitInfo(
                rank=rank,
                face_id=hit.face_id,
                photo_id=place.photo_id,
                person_id=place.person_id,
                name=hit.name,
                shown_name=hit.shown_name,
                within_threshold=hit.within_threshold,
                no_verdict=hit.no_verdict,
                distance=hit.distance,
                distance_text=result.format_distance(hit),
                probability=None if hit.no_verdict else chances.get(hit.name or ""),
                box=hit.box,
                seconds=hit.seconds,
                photo_width=place.size and place.size[0],
                photo_height=place.size and place.size[1],
                files=[text(path.name) for path in files],
                paths=[text(path) for path in files] if state.options.show_paths else None,
                damage=hit.damage,
            )
        )
    return described


def text(path: object) -> str:
    """Return a path or file name as valid text, whatever its bytes."""
    return str(path).encode("utf-8", "replace").decode()
