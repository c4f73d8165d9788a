"""A library of synthetic faces, and the steps that are measured in it.

A photo shows one face. Its picture in the library is random bytes, as many as a JPEG of a face of
112 x 112 pixels has, so that the database has the size of a real one.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.people import draw, draw_library, read_people
from facehash.calibration.thresholds import SFACE
from facehash.files import FileState
from facehash.hashing import LinearHash
from facehash.library.derived.arrays import refresh_index, spaces
from facehash.library.derived.codes import encode, fit_codes, read_hasher
from facehash.library.people.edit import name_faces
from facehash.library.people.forget import forget_person
from facehash.library.query.library import open_library
from facehash.library.storage.folder import INDEX
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.settings import Settings, write_settings
from facehash.library.storage.store import Store
from facehash.vectors import Rows

SETTINGS = Settings(
    "yunet", "yunet", "sface", f"sface:sha256={SFACE.partition('=')[2]}", "cosine", 128,
    "arcface112", 112, codes="learned:64",
)  # fmt: skip
PICTURE_BYTES = 3000
BATCH = 64  # photos that `facehash index` stores at a time
CHUNK = 16_384  # faces after which it brings the index files up to date
NAMED = 20  # faces of the person that is named and forgotten
SINGLES, K = 30, 10
KINDS = {
    "vectors, cosine": ("embedding", None),
    "codes, Hamming": ("code", "hamming"),
    "codes, asymmetric": ("code", "asymmetric"),
}
"""What is compared, and how."""


def queries(vectors: Path, count: int) -> Rows:
    """Draw faces of further people, float32 (count, 128)."""
    population, _ = read_people(vectors)
    return next(draw(population, count, 1, seed=99))


def _photos(rows: Rows, first: int, hasher: LinearHash | None) -> list[NewPhoto]:
    rng = np.random.default_rng(first)
    codes = [None] * len(rows) if hasher is None else encode(hasher, rows, SETTINGS)
    photos = []
    for number, (row, code) in enumerate(zip(rows, codes, strict=True), start=first):
        face = NewFace(
            (20.0, 20.0, 90.0, 99.0), np.zeros((5, 2), np.float32), 0.9, 0.8,
            rng.bytes(PICTURE_BYTES), row, code,
        )  # fmt: skip
        path = Path(f"/photos/{number // 1000:04}/IMG_{number:07}.jpg")
        photos.append(
            NewPhoto(
                path, FileState(3_000_000, number), number.to_bytes(32, "big"), (4000, 3000),
                faces=(face,),
            )
        )  # fmt: skip
    return photos


def _add(store: Store, rows: Rows, first: int, hasher: LinearHash | None) -> None:
    for start in range(0, len(rows), BATCH):
        store.add(_photos(rows[start : start + BATCH], first + start, hasher))


def _chunks(vectors: Path, faces: int) -> Iterator[Rows]:
    """Yield the faces of a library in parts of `CHUNK`."""
    population, sizes = read_people(vectors)
    kept = np.zeros((0, len(population.mean)), np.float32)
    for rows, _ in draw_library(population, sizes, faces, seed=0):
        kept = np.concatenate([kept, rows])
        while len(kept) >= CHUNK:
            yield kept[:CHUNK]
            kept = kept[CHUNK:]
    yield kept


def build(directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Fill a new library as `facehash index` does, after photos are read and faces embedded."""
    hasher: LinearHash | None = None
    done, seconds = 0, {"rows": 0.0, "index files": 0.0}
    with Store.create(directory) as store:
        write_settings(store.database, SETTINGS)
        for rows in _chunks(vectors, faces):
            start = time.perf_counter()
            _add(store, rows, done, hasher)
            done += len(rows)
            if hasher is None:
                hasher = fit_codes(store, SETTINGS)
            middle = time.perf_counter()
            refresh_index(store, spaces(SETTINGS, True))
            seconds["rows"] += middle - start
            seconds["index files"] += time.perf_counter() - middle
        store.database.empty_log()
    return {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "bytes": {
            "database": (directory / "library.db").stat().st_size,
            **{
                column: sum(path.stat().st_size for path in (directory / INDEX).glob(f"{column}-*"))
                for column in ("embedding", "code")
            },
        },
    }


def add_photos(directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Add 64 photos, and bring the index files up to date."""
    with Store.open(directory) as store:
        hasher = read_hasher(store.database, SETTINGS)
        first = store.database.value("SELECT max(id) FROM photos")
        rows = queries(vectors, BATCH)
        start = time.perf_counter()
        store.add(_photos(rows, first, hasher))
        middle = time.perf_counter()
        refresh_index(store, spaces(SETTINGS, True))
        end = time.perf_counter()
    return {"seconds": {"rows": round(middle - start, 3), "index files": round(end - middle, 3)}}


def search_during_indexing(directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Search after an index run that goes on has stored 64 photos, and again after 64 more."""
    found = []
    asked = queries(vectors, 2 * BATCH + 2)
    with Store.open(directory) as store, open_library(directory, by="embedding") as library:
        hasher = read_hasher(store.database, SETTINGS)
        library.search_vectors(asked[:1], K)
        for turn in range(2):
            first = store.database.value("SELECT max(id) FROM photos")
            store.add(_photos(asked[turn * BATCH :][:BATCH], first, hasher))
            start = time.perf_counter()
            library.search_vectors(asked[-1:], K)
            found.append(time.perf_counter() - start)
        refresh_index(store, spaces(SETTINGS, True))
    return {"milliseconds": round(1e3 * statistics.median(found), 1)}


def search(directory: Path, vectors: Path, faces: int, kind: str) -> dict[str, Any]:
    """Open the library, search for one face, and for one face again and again."""
    by, distance = KINDS[kind]
    asked = queries(vectors, SINGLES + 1)
    start = time.perf_counter()
    with open_library(directory, by=by, distance=distance) as library:  # type: ignore[arg-type]
        opened = time.perf_counter()
        library.search_vectors(asked[:1], K)
        first = time.perf_counter()
        later = []
        for number in range(1, SINGLES + 1):
            before = time.perf_counter()
            library.search_vectors(asked[number : number + 1], K)
            later.append(time.perf_counter() - before)
        before = time.perf_counter()
        library.search_vectors(asked, K)
        batch = time.perf_counter() - before
    return {
        "milliseconds": {
            "open": round(1e3 * (opened - start), 1),
            "first search": round(1e3 * (first - opened), 1),
            "later search": round(1e3 * statistics.median(later), 2),
            "per query of a batch": round(1e3 * batch / len(asked), 2),
        }
    }


def name(directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Give the first faces without a name a name."""
    with Store.open(directory) as store:
        query = "SELECT id FROM faces WHERE person_id IS NULL ORDER BY id LIMIT ?"
        ids = [face for (face,) in store.database.rows(query, (NAMED,))]
        start = time.perf_counter()
        name_faces(store, "Ada", ids)
        return {"seconds": round(time.perf_counter() - start, 2)}


def forget(directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Forget this person, whose faces are in the oldest segment."""
    with Store.open(directory) as store:
        start = time.perf_counter()
        done = forget_person(store, "Ada")
        seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "faces": done.faces}


Step = Callable[[Path, Path, int], dict[str, Any]]
STEPS: dict[str, Step] = {
    "build": build,
    **{f"search by {kind}": lambda *args, kind=kind: search(*args, kind=kind) for kind in KINDS},
    "add": add_photos,
    "search during indexing": search_during_indexing,
    "name": name,
    "forget": forget,
}
"""In the order in which they are measured; each runs in a process of its own."""
