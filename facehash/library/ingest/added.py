"""Faces that a person points out: embedding them, now and whenever their photo comes back."""

import contextlib
import dataclasses
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import threshold_of
from facehash.detectors.base import Detector
from facehash.detectors.pointed import SAME_PLACE, find_at
from facehash.detectors.registry import has_option, with_options
from facehash.errors import InputError
from facehash.images.face import Box, Face, overlap
from facehash.images.quality import quality
from facehash.images.read import Photo, UnreadableImageError, read_photo
from facehash.index.exact import ExactIndex
from facehash.library.derived.arrays import refresh_index, spaces
from facehash.library.derived.codes import encode, read_hasher
from facehash.library.ingest.read import encode_jpeg
from facehash.library.people.changes import FaceKey
from facehash.library.people.edit import assign_name
from facehash.library.people.former import move_face
from facehash.library.people.journal import Undone, statement
from facehash.library.people.parked import give_back, parked_keys
from facehash.library.people.people import check_name
from facehash.library.query.encoder import make_matching
from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.records import NewFace, bytes_of, path_of
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, MakePipeline, default_pipeline
from facehash.printing import quoted

log = logging.getLogger(__name__)

SMALLEST = 8.0
"""The shorter side in pixels of the smallest box."""

_UNSURE_SCORE = "0.3"
"""Minimum score of the detector in a box that a person has drawn."""
_ROUNDING = 1e-4


@dataclass(frozen=True)
class AddedFace:
    """A face that was added."""

    face_id: int
    number: int  # in its photo
    box: Box
    quality: float
    found: bool  # whether the detector finds it in the box; otherwise the crop is not aligned
    owner: str | None  # whose earlier name the given name was


class _Embedder:
    """Makes stored faces of boxes in photos, with the detector and embedder of a library."""

    def __init__(self, store: Store, settings: Settings, make_pipeline: MakePipeline) -> None:
        self._store, self._settings, self._make_pipeline = store, settings, make_pipeline
        self._pipeline: FacePipeline | None = None
        self._detector: Detector | None = None

    def _load(self) -> tuple[FacePipeline, Detector]:
        """Load the networks; most index runs need none of them here."""
        settings = self._settings
        if self._pipeline is None or self._detector is None:
            self._pipeline = make_matching(settings, self._make_pipeline, self._store.directory)
            unsure = settings.detector
            if has_option(unsure, "score"):
                unsure = with_options(unsure, score=_UNSURE_SCORE)
            self._detector = self._make_pipeline(unsure, settings.embedder).make_detector(unsure)
        return self._pipeline, self._detector

    def make(self, photo: Photo, box: Box, landmarks: NDArray[np.float32] | None) -> NewFace:
        """Return the face in a box; `landmarks` count if the detector finds none there.

        Raises:
            InputError: The embedder's vector is not finite.
        """
        pipeline, detector = self._load()
        x, y, width, height = (value / photo.scale for value in box)
        found = find_at(photo.pixels, (x, y, width, height), detector.detect)
        if found.landmarks is None and landmarks is not None:
            found = dataclasses.replace(found, landmarks=landmarks / np.float32(photo.scale))
        crops = pipeline.cropper.crop_faces(photo.pixels, [found])
        rows = pipeline.embedder.embed(crops)
        face = found.scaled(photo.scale)
        vector, code = self._rows(rows)
        return NewFace(
            box, face.landmarks, face.score, quality(Face(box, None, face.score), crops[0]),
            encode_jpeg(crops[0]), vector, code,
        )  # fmt: skip

    def _rows(self, rows: NDArray[Any]) -> tuple[Any, Any]:
        """Return the vector and the code that the library stores; None for what it does not."""
        settings = self._settings
        if settings.metric == "hamming":
            return None, settings.space.check(rows, "the embedder's codes")[0]
        if not np.isfinite(rows).all():
            raise InputError("the embedder's vector of this face is not finite; choose another box")
        hasher = read_hasher(self._store.database, settings)
        rows = settings.space.check(rows, "the embedder's vectors")
        return rows[0], None if hasher is None else encode(hasher, rows, settings)[0]


def add_face(
    store: Store,
    path: Path,
    box: Box,
    name: str | None = None,
    *,
    make_pipeline: MakePipeline = default_pipeline,
) -> AddedFace:
    """Add a face that the detector missed, as one statement of the journal.

    The detector searches the box again at several sizes, for landmarks to align the crop by.
    Without them the crop is the box, and no threshold holds for the face.

    Args:
        store: The library, locked for writing.
        path: A photo of the library.
        box: x, y, width and height in pixels of the upright photo.
        name: Who it is; a new person if nobody has the name.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Raises:
        InputError: A box outside the photo or too small, an invalid name, or a photo that is not
            in the library, cannot be read or has changed.
        LibraryError: The library has the face already, or its detector or embedder has changed.

    Example:
        >>> add_face(store, Path("party.jpg"), (812, 340, 96, 120), "Ann").face_id  # doctest: +SKIP
        217
    """
    settings = store.settings()
    if name is not None:
        check_name(name)
    photo_id, digest, size, files = _photo_of(store, path)
    _check_box(path, box, size)
    _check_new(store, path, photo_id, box)
    new = _Embedder(store, settings, make_pipeline).make(_read(files, digest), box, None)
    key: FaceKey = (digest, *box)
    owner = None
    with statement(store, "add-face"):
        _note(store, key, new)
        face_id, number = _append(store, photo_id, new)
        if name is not None:
            owner = assign_name(store, name, [face_id])
    refresh(store, settings)
    return AddedFace(face_id, number, box, new.quality, new.landmarks is not None, owner)


def refresh(store: Store, settings: Settings) -> None:
    """Write the index files again after faces were added or removed."""
    fitted = read_hasher(store.database, settings) is not None
    refresh_index(store, spaces(settings, fitted))


def restore_added(
    store: Store, undone: Iterable[Undone], make_pipeline: MakePipeline = default_pipeline
) -> None:
    """Do as `complete_added` after an undo: give names back, and write the index files again.

    Args:
        store: The library, locked for writing.
        undone: What was taken back; nothing is to be done if it concerns no added face.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.
    """
    if not any(one.statement.kind in ("add-face", "remove-face") for one in undone):
        return
    settings, before = store.settings(), parked_keys(store)
    if complete_added(store, settings, make_pipeline):
        give_back(store, settings, before)
    refresh(store, settings)


def complete_added(
    store: Store, settings: Settings, make_pipeline: MakePipeline = default_pipeline
) -> int:
    """Make faces for what was added where the library has the photo, but no face at that place.

    This is so for photos that came back, for a library that a backup was restored to, and after a
    removal was undone. A photo that cannot be read now is tried again in the next run.

    Args:
        store: The library, locked for writing.
        settings: Its settings.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Returns:
        The number of faces.
    """
    rows = store.database.rows(
        "SELECT photos.id, digest, x, y, added_faces.width, added_faces.height, landmarks "
        "FROM added_faces JOIN photos USING (digest) WHERE reason IS NULL AND seconds IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM faces WHERE photo_id = photos.id "
        "AND (faces.x, faces.y, faces.width, faces.height) = "
        "(added_faces.x, added_faces.y, added_faces.width, added_faces.height))"
    )
    embedder, done = _Embedder(store, settings, make_pipeline), 0
    by_photo: dict[tuple[int, bytes], list[Any]] = defaultdict(list)
    for photo_id, digest, *box, landmarks in rows:
        if _overlapping(store, photo_id, box) is None:
            by_photo[photo_id, digest].append((tuple(box), _points(store, landmarks)))
    for (photo_id, digest), boxes in by_photo.items():
        paths = store.database.rows("SELECT path FROM paths WHERE photo_id = ?", (photo_id,))
        try:
            photo = _read([path_of(path) for (path,) in paths], digest)
            made = [embedder.make(photo, box, points) for box, points in boxes]
        except InputError as error:
            log.warning(f"a face that was added by hand is missing: {error}")
            continue
        with store.database.transaction():
            for new in made:
                if _overlapping(store, photo_id, new.box) is None:
                    _append(store, photo_id, new)
                    done += 1
    return done


def carry_added(
    store: Store, settings: Settings, make_pipeline: MakePipeline = default_pipeline
) -> int:
    """Carry added faces over to the new content of their files, before the old photos are removed.

    The new content must have the same proportions, and the same face at the same place: the
    distance of the vectors is within the threshold of the embedder or, without one, a rounding
    error. Where the detector has found a face there, nothing is to be done.

    Args:
        store: The library, locked for writing, before `Store.prune`.
        settings: Its settings.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Returns:
        The number of faces.
    """
    column = "code" if settings.metric == "hamming" else "embedding"
    rows = store.database.rows(
        "SELECT paths.path, old.id, old.digest, old.width, old.height, new.id, new.digest, "  # noqa: S608
        f"new.width, new.height, faces.x, faces.y, faces.width, faces.height, faces.{column} "
        "FROM former_paths JOIN paths USING (path) JOIN photos AS old ON old.id = "
        "former_paths.photo_id JOIN photos AS new ON new.id = paths.photo_id "
        "JOIN faces ON faces.photo_id = old.id JOIN added_faces ON "
        "(added_faces.digest, added_faces.x, added_faces.y, added_faces.width, added_faces.height) "
        "= (old.digest, faces.x, faces.y, faces.width, faces.height) "
        "WHERE new.id <> old.id AND new.reason IS NULL AND new.width IS NOT NULL"
    )
    embedder, done = _Embedder(store, settings, make_pipeline), 0
    for path, old, digest, width, height, new, fresh, w, h, *box, stored in rows:
        factor = w / width
        moved = tuple(value * factor for value in box)
        same_shape = abs(height * factor - h) <= 1
        if not same_shape or not isinstance(stored, bytes):
            continue
        key: FaceKey = (fresh, *moved)
        if _overlapping(store, new, moved) is None:
            try:
                face = embedder.make(_read([path_of(path)], fresh), key[1:], None)
            except InputError as error:
                log.warning(f"a face that was added by hand is missing: {error}")
                continue
            row = face.code if settings.metric == "hamming" else face.embedding
            if not _is_same(settings, stored, row):
                continue
            with store.database.transaction():
                _note(store, key, face)
                _append(store, new, face)
                done += 1
        elsewhere = "SELECT 1 FROM paths WHERE photo_id = ?"
        if store.database.value(elsewhere, (old,)) is None:
            with store.database.transaction():
                move_face(store, (digest, *box), key)
                _forget_row(store, (digest, *box))
    return done


def _photo_of(store: Store, path: Path) -> tuple[int, bytes, tuple[int, int], list[Path]]:
    """Return id, digest, width and height, and files of the photo at a path."""
    full = Path(os.path.realpath(path.parent), path.name)
    rows = store.database.rows(
        "SELECT photos.id, digest, width, height, photos.reason, seconds FROM photos "
        "JOIN paths ON photo_id = photos.id WHERE path = ?",
        (bytes_of(full),),
    )
    if not rows or rows[0][4] is not None:
        why = "not in the library" if not rows else "could not be read when it was indexed"
        raise InputError(
            f"{path}: {why}; a face can be added to a photo that facehash index has read "
            f"(facehash index {quoted(full.parent)} --library {quoted(store.directory)})"
        )
    [(photo_id, digest, width, height, _, seconds)] = rows
    if seconds is not None:
        raise InputError(f"{path}: is a video; faces can be added to photos only")
    if not all(isinstance(one, int) and one > 0 for one in (width, height)):
        raise DamagedLibraryError(f"{store.directory}: the record of photo {photo_id} is damaged")
    others = store.database.rows("SELECT path FROM paths WHERE photo_id = ?", (photo_id,))
    files = [full, *(path_of(one) for (one,) in others)]
    return photo_id, digest, (width, height), list(dict.fromkeys(files))


def _check_box(path: Path, box: Box, size: tuple[int, int]) -> None:
    x, y, width, height = box
    if not np.isfinite(box).all() or min(width, height) < SMALLEST:
        raise InputError(f"{path}: a box must be at least {SMALLEST:g} pixels wide and high")
    inside = 0 <= x + width / 2 <= size[0] and 0 <= y + height / 2 <= size[1]
    if not inside or width > 2 * size[0] or height > 2 * size[1]:
        raise InputError(
            f"{path}: the box {x:g},{y:g},{width:g},{height:g} is not in the photo, which has "
            f"{size[0]} x {size[1]} pixels"
        )


def _overlapping(store: Store, photo_id: int, box: Sequence[float]) -> int | None:
    """Return the face of a photo that overlaps most with a box, None if none is the same face."""
    faces = store.database.rows(
        "SELECT id, x, y, width, height FROM faces WHERE photo_id = ?", (photo_id,)
    )
    best = max(((overlap(row[1:], box), row[0]) for row in faces), default=(0.0, 0))
    return best[1] if best[0] >= SAME_PLACE else None


def _check_new(store: Store, path: Path, photo_id: int, box: Box) -> None:
    there = _overlapping(store, photo_id, box)
    if there is not None:
        [face] = store.faces([there])
        who = "" if face.name is None else f", {face.name}"
        x, y, width, height = (round(value) for value in face.box)
        raise LibraryError(
            f"{path}: the library has this face already: face {face.number}, #{face.id}{who}, at "
            f"{x},{y} ({width} x {height})"
        )


def _read(paths: Iterable[Path], digest: bytes) -> Photo:
    """Read a photo from the first file that has its content."""
    problem: UnreadableImageError | None = None
    for path in paths:
        try:
            return read_photo(path, digest)
        except UnreadableImageError as error:
            problem = problem or error
    raise problem or InputError("a photo has no file")


def _note(store: Store, key: FaceKey, face: NewFace) -> None:
    """Write down, within a transaction, that a face was added."""
    points = None if face.landmarks is None else face.landmarks.astype("<f4").tobytes()
    store.database.run(
        "INSERT OR IGNORE INTO added_faces (digest, x, y, width, height, landmarks) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*key, points),
    )


def _forget_row(store: Store, key: FaceKey) -> None:
    store.database.run(
        "DELETE FROM added_faces WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?)", key
    )


def _append(store: Store, photo_id: int, face: NewFace) -> tuple[int, int]:
    """Store a face after the others of its photo, within a transaction; return id and number."""
    last = store.database.value("SELECT max(number) FROM faces WHERE photo_id = ?", (photo_id,))
    number = (last or 0) + 1
    return store.add_face(photo_id, number, face), number


def _points(store: Store, stored: object) -> NDArray[np.float32] | None:
    if stored is None:
        return None
    if not isinstance(stored, bytes) or len(stored) != 40:
        raise DamagedLibraryError(f"{store.directory}: the landmarks of an added face are damaged")
    return np.frombuffer(stored, "<f4").reshape(5, 2).astype(np.float32)


def _is_same(settings: Settings, stored: bytes, row: NDArray[Any] | None) -> bool:
    """Return whether two rows are of the same face, by the threshold of the embedder."""
    space = settings.space
    with contextlib.suppress(ValueError):
        old = np.frombuffer(stored, space.dtype)[None]
        index = ExactIndex.build(old, np.zeros(1, np.int64), space)
        if row is None:
            return False
        distance = float(index.search(row[None], 1).distances[0, 0])
        known = threshold_of(settings.embedder_identity)
        rounding = 0.01 * space.dimension if space.metric == "hamming" else _ROUNDING
        if space.metric == "euclidean":
            rounding *= float(np.linalg.norm(old))
        return distance <= (rounding if known is None else known.distance)
    return False
