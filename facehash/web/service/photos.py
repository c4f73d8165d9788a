"""Photos: lists, details, and the pictures themselves, by id only."""

from pathlib import Path

from starlette.exceptions import HTTPException

from facehash.images.face import Box
from facehash.library.ingest import added
from facehash.library.ingest.isolated import IsolatedReader
from facehash.library.people.added import remove_faces
from facehash.library.query import browse
from facehash.library.storage.store import Store
from facehash.web import models
from facehash.web.service.search import text
from facehash.web.state import State

THUMBNAIL_SIDE = 480
IMAGE_SIDE = 1600
PAGE = 48


def describe_overview(state: State, photo: browse.PhotoOverview) -> models.PhotoInfo:
    """Return a photo in a list as plain values."""
    return models.PhotoInfo(
        id=photo.id,
        file=text(photo.path.name),
        path=text(photo.path) if state.options.show_paths else None,
        date=_day(photo),
        taken=_taken(photo),
        face_ids=list(photo.face_ids),
        seconds=photo.seconds,
    )


async def list_photos(state: State, start: int = 0, most: int = PAGE) -> models.PhotosPage:
    """Return a part of all photos with faces, the newest first."""

    def task(store: Store) -> models.PhotosPage:
        with store.database.snapshot():
            return models.PhotosPage(
                total=browse.count_photos(store),
                photos=[
                    describe_overview(state, one) for one in browse.list_photos(store, start, most)
                ],
            )

    return await state.threads.read(task)


async def get_photo(state: State, photo: int) -> models.PhotoDetails:
    """Return a photo with its faces.

    Raises:
        LibraryError: There is no such photo.
    """

    def task(store: Store) -> models.PhotoDetails:
        with store.database.snapshot():
            details = browse.photo_by_id(store, photo)
            places = browse.places_of(store, [face.id for face in details.faces])
        return models.PhotoDetails(
            id=details.id,
            files=[text(path.name) for path in details.paths],
            paths=[text(path) for path in details.paths] if state.options.show_paths else None,
            date=_day(details),
            taken=_taken(details),
            width=details.size and details.size[0],
            height=details.size and details.size[1],
            damage=details.damage,
            seconds=details.seconds,
            moments=_moments(details),
            faces=[
                models.FaceInfo(
                    id=face.id,
                    number=face.number,
                    box=face.box,
                    name=face.name,
                    person_id=places[face.id].person_id,
                    named_by=face.named_by,
                    added_by_hand=face.added,
                    seconds=face.seconds,
                    first_seconds=face.first_seconds,
                    last_seconds=face.last_seconds,
                )
                for face in details.faces
            ],
        )

    return await state.threads.read(task)


async def photo_of_face(state: State, face: int) -> models.PhotoDetails:
    """Return the photo of a face; raises like `get_photo`."""
    return await get_photo(
        state, await state.threads.read(lambda store: browse.photo_of_face(store, face))
    )


async def crop(state: State, face: int) -> bytes:
    """Return the stored picture of a face as a JPEG.

    Raises:
        HTTPException: 404 if there is none.
    """
    jpeg = await state.threads.read(lambda store: store.crop(face))
    if jpeg is None:
        raise HTTPException(404, "there is no such face")
    return jpeg


async def thumbnail(state: State, photo: int, face: int | None = None) -> bytes:
    """Return a small copy of a photo as a JPEG; it is kept in the library.

    Args:
        state: The server.
        photo: The photo or video.
        face: Of a video, the frame with this face; by default that with its first face.

    Raises:
        LibraryError: There is no such photo, or it does not have this face.
        UnreadableImageError: Its file is missing or has changed.
    """
    return await _picture(state, photo, face, THUMBNAIL_SIDE, keep=True)


async def image(state: State, photo: int, face: int | None = None) -> bytes:
    """Return an upright photo for a screen as a JPEG.

    Frames of videos are kept in the library, as it takes long to find them. Arguments and errors
    are those of `thumbnail`.
    """
    return await _picture(state, photo, face, IMAGE_SIDE, keep=False)


async def _picture(state: State, photo: int, face: int | None, side: int, *, keep: bool) -> bytes:
    def find(store: Store) -> tuple[bool, bytes | None]:
        picture = browse.picture_of(store, photo, face)
        is_frame = picture.seconds is not None
        wanted = keep or is_frame
        return is_frame, browse.kept_thumbnail(store, picture, side) if wanted else None

    is_frame, kept = await state.threads.read(find)
    if kept is not None:
        return kept

    def task(reader: IsolatedReader, store: Store) -> bytes:
        def make(path: Path, digest: bytes, side: int, seconds: float | None) -> bytes:
            return reader.preview(path, digest, side, seconds).jpeg

        if keep or is_frame:
            return browse.thumbnail(store, photo, side, make, face)
        return browse.reduced(browse.photo_by_id(store, photo), side, make)

    return await state.threads.decode_of(task, video=is_frame)


async def add_face(state: State, photo: int, box: Box, name: str | None) -> models.Added:
    """Add a face that the detector missed.

    Raises:
        InputError: The box is too small or outside the photo, or the name is not valid.
        LibraryError: There is no such photo, or the face is there already.
    """

    def task(store: Store) -> models.Added:
        path = browse.photo_by_id(store, photo).paths[0]
        new = added.add_face(
            store, path, box, name or None, make_pipeline=state.options.make_pipeline
        )
        return models.Added(
            message="the face is added" + (f" as {name.strip()}" if name else ""),
            face_id=new.face_id,
            found=new.found,
        )

    return await state.threads.write(task)


async def remove_face(state: State, face: int) -> models.Done:
    """Remove a face that was added by hand.

    Raises:
        LibraryError: There is no such face, or the detector has found it.
    """

    def task(store: Store) -> models.Done:
        remove_faces(store, [face])
        return models.Done(message="the face is removed")

    return await state.threads.write(task)


def _moments(details: browse.PhotoDetails) -> list[models.MomentInfo]:
    """Return the times of a video at which there are faces, in order."""
    faces: dict[float, list[int]] = {}
    for face in details.faces:
        if face.seconds is not None:
            faces.setdefault(face.seconds, []).append(face.id)
    return [models.MomentInfo(seconds=at, face_ids=faces[at]) for at in sorted(faces)]


def _day(photo: browse.PhotoOverview | browse.PhotoDetails) -> str:
    return photo.date.date().isoformat()  # strftime does not fill up years before 1000


def _taken(photo: browse.PhotoOverview | browse.PhotoDetails) -> str | None:
    return photo.date.isoformat() if photo.is_taken else None
