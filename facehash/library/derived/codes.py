"""Codes computed from the vectors of a library: ``--codes itq:64``, ``--codes learned:64``, ...

A hasher is fitted once, after the first photos were indexed, and stored in the library. It also
encodes all later faces, because codes of different hashers are not comparable. The table ``hasher``
holds its arrays and the thresholds of its codes (see `facehash.calibration.codes`).

Libraries of facehash 0.1.0 have neither thresholds nor the scale of the projections. `index` and
`rebuild` add them; until then such a library is searched by the Hamming distance.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.codes import CodeThresholds, code_thresholds, draw_faces
from facehash.calibration.thresholds import threshold_of
from facehash.codes import CodesError, Packed
from facehash.errors import InputError, did_you_mean
from facehash.hashing import LinearHash
from facehash.hashing.heads.head import LearnedHash
from facehash.hashing.library import LIBRARY_HASHERS, check_hasher, fit_hasher
from facehash.library.storage.database import DamagedLibraryError, Database
from facehash.library.storage.records import stored_rows
from facehash.library.storage.rows import read_rows
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import unit_rows

_THRESHOLD = "threshold_"


def parse_codes(codes: str, dimension: int, embedder: str) -> str:
    """Return the normalized value of ``--codes``, such as ``itq:64``.

    Args:
        codes: Name of a hasher of `LIBRARY_HASHERS`, and number of bits.
        dimension: Length of the embedder's vectors.
        embedder: The identity of the embedder.

    Raises:
        InputError: An unknown hasher, or one that cannot make codes of this length of these
            vectors.
    """
    name, _, bits = codes.strip().lower().partition(":")
    if name not in LIBRARY_HASHERS:
        raise InputError(f"--codes {codes}: unknown codes{did_you_mean(name, LIBRARY_HASHERS)}")
    if not bits.isdecimal():
        raise InputError(f"--codes {codes}: give the number of bits, for example {name}:64")
    try:
        # The fit checks this too, but only after hours of indexing.
        check_hasher(name, int(bits), dimension, embedder)
    except CodesError as error:
        raise InputError(f"--codes {codes}: {error}") from error
    return f"{name}:{int(bits)}"


def encode(hasher: LinearHash, rows: NDArray[np.float32], settings: Settings) -> Packed:
    """Hash finite vectors, float32 (n, dimension), to packed codes, uint8 (n, bytes).

    Vectors compared by cosine are scaled to length 1 first.
    """
    return hasher.encode(_hashable(rows, settings))


def project(
    hasher: LinearHash, rows: NDArray[np.float32], settings: Settings
) -> NDArray[np.float32]:
    """Return the projections of finite vectors (n, dimension), float32 (n, bits), for a query."""
    return hasher.projections(_hashable(rows, settings))


def _hashable(rows: NDArray[np.float32], settings: Settings) -> NDArray[np.float32]:
    return unit_rows(rows) if settings.metric == "cosine" else rows


def fit_codes(store: Store, settings: Settings) -> LinearHash | None:
    """Fit a hasher to all vectors of the library (learned codes need none) and encode every face.

    Returns:
        The hasher, or None for a library without codes or with fewer than two faces.

    Raises:
        InputError: The vectors cannot be hashed to this number of bits.
    """
    if settings.codes is None or settings.metric == "hamming":
        return None
    rows = _all_vectors(store, settings)
    if len(rows) < 2:
        return None
    name, _, bits = settings.codes.partition(":")
    hasher = fit_hasher(name, rows, int(bits), settings.seed, settings.embedder_identity)
    with store.database.transaction():
        _write_hasher(store, hasher, _thresholds(rows, hasher, settings))
        encode_all(store, settings, hasher)
    return hasher


def complete_hasher(store: Store, settings: Settings, hasher: LinearHash) -> LinearHash:
    """Add the scale and the thresholds to a hasher of facehash 0.1.0, from the library's vectors.

    The codes stay as they are. Any other hasher is returned unchanged.

    Args:
        store: The library, locked for writing.
        settings: Its settings.
        hasher: Its hasher.
    """
    if hasher.scale is not None:
        return hasher
    rows = _all_vectors(store, settings)
    if not len(rows):
        return hasher
    completed = hasher.with_scale(rows)
    with store.database.transaction():
        _write_hasher(store, completed, _thresholds(rows, completed, settings))
    return completed


def refresh_thresholds(store: Store, settings: Settings, hasher: LinearHash) -> None:
    """Compute the thresholds of learned codes again, after the library has got more faces.

    Learned codes fit a library of any size, so their thresholds must not remain those of its first
    photos. The thresholds of other codes stay with the vectors that these were fitted to.

    Args:
        store: The library, locked for writing.
        settings: Its settings.
        hasher: Its hasher.
    """
    if hasher.name != LearnedHash.name:
        return
    thresholds = _thresholds(_drawn_vectors(store, settings), hasher, settings)
    with store.database.transaction():
        _write_hasher(store, hasher, thresholds)


def _all_vectors(store: Store, settings: Settings) -> NDArray[np.float32]:
    """Return all vectors of a library as they are hashed, float32 (n, dimension)."""
    _, rows = read_rows(store, "embedding", settings.space)
    return _hashable(rows, settings)


def _drawn_vectors(store: Store, settings: Settings) -> NDArray[np.float32]:
    """Return the vectors that thresholds are computed from, without reading the others."""
    # Not sorted by SQLite, which would then read the whole table instead of an index.
    ids = np.sort(np.array([face for (face,) in store.database.rows("SELECT id FROM faces")]))
    drawn = ids[draw_faces(len(ids), settings.seed)].tolist()
    rows = [
        store.database.rows("SELECT id, embedding FROM faces WHERE id = ?", (face,))[0]
        for face in drawn
    ]
    _, found = stored_rows(rows, "embedding", settings.space, store.directory)
    return _hashable(found, settings)


def _thresholds(
    rows: NDArray[np.float32], hasher: LinearHash, settings: Settings
) -> CodeThresholds:
    known = threshold_of(settings.embedder_identity)
    if known is None:
        return CodeThresholds()
    return code_thresholds(rows, hasher, settings.metric, known.distance, seed=settings.seed)


def _write_hasher(store: Store, hasher: LinearHash, thresholds: CodeThresholds) -> None:
    """Replace the stored hasher and thresholds, within the caller's transaction."""
    arrays = hasher.arrays()
    for name, value in thresholds._asdict().items():
        if value is not None:
            arrays[_THRESHOLD + name] = np.array(value)
    store.database.run("DELETE FROM hasher")
    store.database.run_many(
        "INSERT INTO hasher VALUES (?, ?)", [(key, _to_npy(one)) for key, one in arrays.items()]
    )


def encode_all(store: Store, settings: Settings, hasher: LinearHash) -> None:
    """Store the code of every vector, within the caller's transaction."""
    # All rows are read first: a query whose rows change while it runs may return them twice.
    for ids, rows in list(store.rows("embedding", settings.space)):
        codes = encode(hasher, rows, settings)
        store.database.run_many(
            "UPDATE faces SET code = ?1 WHERE id = ?2 AND code IS NOT ?1",
            [(code.tobytes(), int(face_id)) for code, face_id in zip(codes, ids, strict=True)],
        )


def read_hasher(database: Database, settings: Settings) -> LinearHash | None:
    """Return the hasher that was fitted to a library, or None before that.

    Raises:
        DamagedLibraryError: The stored hasher cannot be read.
    """
    stored = database.rows("SELECT name, npy FROM hasher")
    if not stored or settings.codes is None:
        return None
    try:
        arrays = {name: _from_npy(npy) for name, npy in stored}
        hasher = LIBRARY_HASHERS[settings.codes.partition(":")[0]].from_arrays(arrays)
        made_for = (settings.dimension, settings.code_space and settings.code_space.dimension)
        if (hasher.dimension, hasher.bits) != made_for:
            raise ValueError(f"{hasher.bits} bits from {hasher.dimension} dimensions")
        return hasher
    # Damage can make NumPy or the hasher raise any error.
    except Exception as error:
        raise DamagedLibraryError(
            f"{database.path.parent}: its hasher is damaged ({error})"
        ) from error


def read_thresholds(database: Database) -> CodeThresholds:
    """Return the thresholds of a library's codes.

    Raises:
        DamagedLibraryError: They cannot be read.
    """
    found: dict[str, float] = {}
    for name in CodeThresholds._fields:
        stored = database.value("SELECT npy FROM hasher WHERE name = ?", (_THRESHOLD + name,))
        if stored is None:
            continue
        try:
            found[name] = float(_from_npy(stored))
            if not np.isfinite(found[name]):
                raise ValueError(f"{found[name]}")
        # Damage can make NumPy raise any error.
        except Exception as error:
            raise DamagedLibraryError(
                f"{database.path.parent}: the threshold of its codes is damaged ({error})"
            ) from error
    return CodeThresholds(**found)


def _to_npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _from_npy(content: bytes) -> NDArray[Any]:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
