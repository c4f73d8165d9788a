"""An open library: reads and writes of its database.

A library is a directory that only its owner can read::

    library.db      SQLite: photos, faces, people, settings, crops
    index/          arrays computed from the database, see `facehash.library.derived.arrays`
    thumbnails/     small copies of photos, see `facehash.library.storage.thumbnails`
    lock            held by the process that writes

A library may come from somebody else, so its content is checked before use: no link out of the
folder is followed, and every value read has the expected type.
"""

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

from facehash.files import FileState
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError, Row
from facehash.library.storage.folder import (
    DATABASE,
    check_no_symlinks,
    make_private_file,
    make_private_folder,
)
from facehash.library.storage.records import (
    UNDER,
    NewFace,
    NewPhoto,
    StoredFace,
    blob,
    bytes_of,
    path_of,
    seconds_of,
    stored_face,
    stored_rows,
    strip_offset,
    under,
)
from facehash.library.storage.schema import migrate
from facehash.library.storage.settings import Settings, read_settings
from facehash.printing import quoted
from facehash.vectors import Ids, Rows, Space

Column = Literal["embedding", "code"]


class Store:
    """An open library: its directory and its database connection."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.directory, self.database = directory, database

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open an existing library; one of an earlier version is migrated.

        Raises:
            LibraryError: There is none, its version is newer, or it is damaged.
            InputError: A symbolic link in place of one of its files.
        """
        check_no_symlinks(directory)
        path = directory / DATABASE
        if not path.is_file():
            raise LibraryError(
                f"{directory}: {'not a library' if directory.exists() else 'no such library'} "
                f"(to create one: facehash index FOLDER --library {quoted(directory)})"
            )
        database = Database(path)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(directory, database)

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Open a library, or create one in an empty or missing folder.

        Raises:
            LibraryError: The folder contains something else.
        """
        path = directory / DATABASE
        if not path.exists():
            # Checked twice: another process may have created the library meanwhile.
            if directory.is_dir() and any(directory.iterdir()) and not path.exists():
                raise LibraryError(
                    f"{directory}: neither empty nor a library; choose an empty folder"
                )
            make_private_folder(directory)
            make_private_file(path)
        return cls.open(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def settings(self) -> Settings:
        """Return the detector, embedder and codes of the library.

        Raises:
            LibraryError: Nothing was ever indexed, or the settings are damaged.
        """
        settings = read_settings(self.database)
        if settings is None:
            raise LibraryError(
                f"{self.directory}: an empty library; to fill it: facehash index FOLDER "
                f"--library {quoted(self.directory)}"
            )
        return settings

    def generation(self) -> int:
        """Return a number that increases with every change of the faces."""
        number = self.database.value("SELECT number FROM generation")
        if not isinstance(number, int):
            raise DamagedLibraryError(f"{self.directory}: its generation is {number!r:.60}")
        return number

    def digests(self) -> set[bytes]:
        """Return the SHA-256 digests of all known and all excluded photos."""
        rows = self.database.rows("SELECT digest FROM photos UNION SELECT digest FROM excluded")
        return {digest for (digest,) in rows}

    def may_keep_pictures(self, digest: bytes) -> bool:
        """Return whether a small copy of a whole photo may be kept.

        The library must have the photo, and none of its faces may have been forgotten: the copy
        would show the face again.
        """
        query = "SELECT 1 FROM photos WHERE digest = ? AND forgotten_faces = 0"
        return self.database.value(query, (digest,)) is not None

    def digests_by_size(self, sizes: Collection[int]) -> dict[int, set[bytes]]:
        """Return the digests that files of these sizes, in bytes, may have.

        Those are the known photos of a size, and all excluded photos, whose size is not stored.
        """
        excluded = {digest for (digest,) in self.database.rows("SELECT digest FROM excluded")}
        found = {size: set(excluded) for size in sizes}
        query = "SELECT size, digest FROM paths JOIN photos ON photos.id = photo_id"
        for size, digest in self.database.rows(query):
            if size in found:
                found[size].add(digest)
        return found

    def files_under(self, folder: Path) -> dict[Path, tuple[FileState, bool]]:
        """Return the known files under a folder, each with its state and whether to skip it."""
        found = self.database.rows(
            "SELECT path, size, mtime_ns, photo_id IS NOT NULL OR reason = 'too_large_file' "  # noqa: S608
            f"FROM paths WHERE {UNDER}",
            under(folder),
        )
        return {path_of(path): (FileState(*state), bool(known)) for path, *state, known in found}

    def add(self, photos: Iterable[NewPhoto]) -> None:
        """Store photos, all of them or none.

        A photo whose content is already known only adds a path; its faces stay unchanged.
        """
        with self.database.transaction():
            for photo in photos:
                self._add(photo)

    def _add(self, photo: NewPhoto) -> None:
        run, value = self.database.run, self.database.value
        photo_id = None
        if photo.digest is not None:
            if value("SELECT 1 FROM excluded WHERE digest = ?", (photo.digest,)):
                return
            photo_id = value("SELECT id FROM photos WHERE digest = ?", (photo.digest,))
            if photo_id is None:
                photo_id = run(
                    "INSERT INTO photos (digest, width, height, reason, detail, seconds, taken, "
                    "dated) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                    (
                        photo.digest,
                        *(photo.size or (None, None)),
                        photo.reason,
                        photo.detail,
                        photo.seconds,
                        seconds_of(photo.taken),
                    ),
                )
                for number, face in enumerate(photo.faces, start=1):
                    self.add_face(photo_id, number, face)
        path = bytes_of(photo.path)
        # The names of the content that was there before are carried over, or wait.
        run(
            "INSERT OR IGNORE INTO former_paths SELECT path, photo_id FROM paths "
            "WHERE path = ? AND photo_id IS NOT NULL AND photo_id IS NOT ?",
            (path, photo_id),
        )
        run(
            "INSERT OR REPLACE INTO paths (path, photo_id, size, mtime_ns, reason, detail) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (path, photo_id, photo.state.size, photo.state.mtime_ns,
             *((photo.reason, photo.detail) if photo_id is None else (None, None))),
        )  # fmt: skip

    def add_face(self, photo_id: int, number: int, face: NewFace) -> int:
        """Store a face of a photo, within a transaction, and return its id."""
        x, y, width, height = face.box
        if face.times is not None:
            tall = self.database.value("SELECT height FROM photos WHERE id = ?", (photo_id,))
            y += strip_offset(face.times[0], tall)
        face_id = self.database.run(
            "INSERT INTO faces (photo_id, number, x, y, width, height, landmarks, score, quality, "
            "embedding, code, seconds, first_seconds, last_seconds) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (photo_id, number, x, y, width, height, blob(face.landmarks), face.score, face.quality,
             blob(face.embedding), blob(face.code), *(face.times or (None, None, None))),
        )  # fmt: skip
        self.database.run("INSERT INTO crops VALUES (?, ?)", (face_id, face.jpeg))
        return face_id

    def remove_files(self, paths: Collection[Path]) -> None:
        """Remove files, and then what `prune` removes."""
        with self.database.transaction():
            gone = [(bytes_of(path),) for path in paths]
            self.database.run_many(
                "INSERT OR IGNORE INTO former_paths SELECT path, photo_id FROM paths "
                "WHERE path = ? AND photo_id IS NOT NULL",
                gone,
            )
            self.database.run_many("DELETE FROM paths WHERE path = ?", gone)
            self.prune()

    def delete_failures(self, folder: Path) -> None:
        """Delete the records of files that could not be read, so that they count as new."""
        with self.database.transaction():
            self.database.run(
                "DELETE FROM photos WHERE reason IS NOT NULL AND id IN "  # noqa: S608
                f"(SELECT photo_id FROM paths WHERE {UNDER})",
                under(folder),
            )
            self.database.run(
                f"DELETE FROM paths WHERE photo_id IS NULL AND ({UNDER})",  # noqa: S608
                under(folder),
            )

    def prune(self) -> None:
        """Remove photos without a file, with their faces, and people whom nothing mentions.

        Names that a person gave to these faces are parked first, with the vector of the face (see
        `facehash.library.people.parked`), so that no command loses one. Of faces without such a
        name, of which something else was said, the vector and the place are kept in the same way.
        A person without a face stays who has a parked name, an earlier name, or a face that is not
        this person.
        """
        run = self.database.run
        if self.database.value(_MAY_BE_LEFT_BEHIND):
            run(_PARK)
            run(_KEEP_FORMER)
            run(
                "DELETE FROM photos WHERE id NOT IN "
                "(SELECT photo_id FROM paths WHERE photo_id IS NOT NULL)"
            )
            run("DELETE FROM former_paths")
        run(
            "DELETE FROM people WHERE id NOT IN "
            "(SELECT person_id FROM faces WHERE person_id IS NOT NULL "
            "UNION SELECT person_id FROM parked UNION SELECT person_id FROM rejections "
            "UNION SELECT person_id FROM aliases)"
        )
        run(_DROP_FORMER)

    def rows(self, column: Column, space: Space) -> Iterator[tuple[Ids, Rows]]:
        """Yield batches of embeddings or codes in the order of the face ids.

        Yields:
            Ids int64 (n,), and rows (n, width) of the space's dtype. Faces without one are skipped.

        Raises:
            DamagedLibraryError: A row has the wrong length.
        """
        query = f"SELECT id, {column} FROM faces WHERE {column} IS NOT NULL ORDER BY id"  # noqa: S608
        for batch in self.database.batches(query):
            yield stored_rows(batch, column, space, self.directory)

    def faces(self, ids: Sequence[int] | None = None) -> list[StoredFace]:
        """Return faces in the order of the given ids, by default all faces by id.

        Raises:
            LibraryError: A face does not exist.
        """
        if ids is None:
            rows = self.database.rows(f"{_FACES} ORDER BY faces.id")
            return [self._stored_face(row) for row in rows]
        wanted = [int(face_id) for face_id in ids]
        rows = self.database.rows(
            f"{_FACES} WHERE faces.id IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(wanted),),
        )
        found = {int(row[0]): self._stored_face(row) for row in rows}
        for face_id in wanted:
            if face_id not in found:
                raise LibraryError(f"{self.directory}: there is no face {face_id}")
        return [found[face_id] for face_id in wanted]

    def _stored_face(self, row: Row) -> StoredFace:
        """Return the face in a row of `_FACES`, with the other files of its photo."""
        *values, files = row
        face = stored_face(tuple(values), self.directory)
        if not isinstance(files, int) or files < 2:
            return face
        query = (
            "SELECT path FROM paths WHERE photo_id = (SELECT photo_id FROM faces WHERE id = ?) "
            "ORDER BY path"
        )
        paths = [path_of(path) for (path,) in self.database.rows(query, (face.id,))]
        return dataclasses.replace(face, copies=tuple(paths[1:]))

    def crop(self, face_id: int) -> bytes | None:
        """Return the JPEG crop of a face, or None."""
        jpeg = self.database.value("SELECT jpeg FROM crops WHERE face_id = ?", (face_id,))
        return jpeg if isinstance(jpeg, bytes) else None


_FACES = """
    SELECT faces.id, (SELECT min(path) FROM paths WHERE paths.photo_id = faces.photo_id),
        number, x, y, faces.width, faces.height, people.name, score, quality, named_by,
        photos.detail,
        EXISTS (SELECT 1 FROM added_faces
            WHERE (added_faces.digest, added_faces.x, added_faces.y, added_faces.width,
            added_faces.height) = (photos.digest, faces.x, faces.y, faces.width, faces.height)),
        landmarks IS NOT NULL, faces.seconds, first_seconds, last_seconds, photos.height,
        (SELECT count(*) FROM paths WHERE paths.photo_id = faces.photo_id)
    FROM faces LEFT JOIN people ON people.id = faces.person_id
        LEFT JOIN photos ON photos.id = faces.photo_id"""

# Counting takes far less time in a large library than looking for these photos, which are rare.
_MAY_BE_LEFT_BEHIND = """
    SELECT EXISTS (SELECT 1 FROM former_paths)
        OR (SELECT count(*) FROM photos) <> (SELECT count(DISTINCT photo_id) FROM paths)"""

# Faces of photos without a file, and of photos in whose place a file now has another content.
_LEFT_BEHIND = """
    WITH replaced AS (
        SELECT former_paths.photo_id, min(path) AS path FROM former_paths JOIN paths USING (path)
        WHERE paths.photo_id IS NOT former_paths.photo_id GROUP BY former_paths.photo_id
    ), left_behind AS (
        SELECT id FROM photos
        WHERE id NOT IN (SELECT photo_id FROM paths WHERE photo_id IS NOT NULL)
        UNION SELECT photo_id FROM replaced
    ), gone AS (
        SELECT digest, x, y, faces.width, faces.height, person_id,
            CASE WHEN person_id IS NOT NULL AND named_by IN ('csv', 'user') THEN named_by END
                AS said_by,
            (SELECT count(*) FROM faces AS beside WHERE beside.photo_id = photos.id) AS faces,
            coalesce(
                replaced.path,
                (SELECT min(path) FROM former_paths WHERE former_paths.photo_id = photos.id)
            ) AS path,
            coalesce(embedding, code) AS vector, score, quality,
            CASE WHEN replaced.path IS NULL THEN 'gone' ELSE 'changed' END AS reason,
            CAST(strftime('%s', 'now') AS INTEGER) AS since
        FROM left_behind CROSS JOIN photos USING (id)
        CROSS JOIN faces ON faces.photo_id = photos.id
        LEFT JOIN replaced ON replaced.photo_id = photos.id
    )"""

_PARK = f"""{_LEFT_BEHIND}
    INSERT OR REPLACE INTO parked
    SELECT digest, x, y, width, height, person_id, said_by, faces, path, vector, score, quality,
        reason, since
    FROM gone WHERE said_by IS NOT NULL"""  # noqa: S608

SAID = ("rejections", "ignored", "statement_changes")
"""Tables that say something about a face beside its name, by the digest and the box."""


def _is_mentioned(face: str) -> str:
    """Return the SQL condition that one of the tables `SAID` has a face."""
    return " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} AS said WHERE said.digest = {face}.digest AND "  # noqa: S608
        "(said.x, said.y, said.width, said.height) = "
        f"({face}.x, {face}.y, {face}.width, {face}.height))"
        for table in SAID
    )


_KEEP_FORMER = f"""{_LEFT_BEHIND}
    INSERT OR REPLACE INTO former_faces
    SELECT digest, x, y, width, height, faces, path, vector, score, quality, reason, since
    FROM gone WHERE said_by IS NULL AND ({_is_mentioned("gone")})"""  # noqa: S608

_DROP_FORMER = f"""
    DELETE FROM former_faces WHERE NOT ({_is_mentioned("former_faces")}) OR EXISTS
        (SELECT 1 FROM parked WHERE parked.digest = former_faces.digest
        AND (parked.x, parked.y, parked.width, parked.height) =
        (former_faces.x, former_faces.y, former_faces.width, former_faces.height))"""  # noqa: S608
