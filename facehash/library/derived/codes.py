"""Codes computed from the vectors of a library: ``--codes lsh:64`` and ``--codes itq:64``.

A hasher is fitted once, after the first photos were indexed, and stored in the library. It also
encodes all later faces, because codes of different hashers are not comparable.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed, check_length
from facehash.errors import InputError, did_you_mean
from facehash.hashing import HASHERS, LinearHash
from facehash.library.storage.database import DamagedLibraryError, Database
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import unit_rows


def parse_codes(codes: str, dimension: int) -> str:
    """Return the normalized value of ``--codes``, ``lsh:BITS`` or ``itq:BITS``.

    Raises:
        InputError: An unknown hasher, or more bits than it computes from vectors of this dimension.
    """
    name, _, bits = codes.strip().lower().partition(":")
    if name not in HASHERS:
        raise InputError(f"--codes {codes}: unknown codes{did_you_mean(name, HASHERS)}")
    if not bits.isdecimal():
        raise InputError(f"--codes {codes}: give the number of bits, for example {name}:64")
    if name == "itq" and int(bits) > dimension:
        # The fit checks this too, but only after hours of indexing.
        raise InputError(
            f"--codes {codes}: itq produces at most one bit per dimension, and the vectors of the "
            f"embedder have {dimension} (lsh has no such limit)"
        )
    return f"{name}:{check_length(int(bits))}"


def encode(hasher: LinearHash, rows: NDArray[np.float32], settings: Settings) -> Packed:
    """Hash finite vectors, float32 (n, dimension), to packed codes, uint8 (n, bytes).

    Vectors compared by cosine are scaled to length 1 first.
    """
    return hasher.encode(unit_rows(rows) if settings.metric == "cosine" else rows)


def fit_codes(store: Store, settings: Settings) -> LinearHash | None:
    """Fit a hasher to all vectors of the library and encode every face.

    Returns:
        The hasher, or None for a library without codes or with fewer than two faces.

    Raises:
        InputError: The vectors cannot be hashed to this number of bits.
    """
    if settings.codes is None or settings.metric == "hamming":
        return None
    parts = [rows for _, rows in store.rows("embedding", settings.space)]
    if sum(map(len, parts)) < 2:
        return None
    name, _, bits = settings.codes.partition(":")
    rows = np.concatenate(parts)
    if settings.metric == "cosine":
        rows = unit_rows(rows)
    hasher = HASHERS[name].fit(rows, int(bits), settings.seed)
    with store.database.transaction():
        store.database.run("DELETE FROM hasher")
        store.database.run_many(
            "INSERT INTO hasher VALUES (?, ?)",
            [(key, _to_npy(array)) for key, array in hasher.arrays().items()],
        )
        encode_all(store, settings, hasher)
    return hasher


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
        hasher = HASHERS[settings.codes.partition(":")[0]].from_arrays(arrays)
        made_for = (settings.dimension, settings.code_space and settings.code_space.dimension)
        if (hasher.dimension, hasher.bits) != made_for:
            raise ValueError(f"{hasher.bits} bits from {hasher.dimension} dimensions")
        return hasher
    # Damage can make NumPy or the hasher raise any error.
    except Exception as error:
        raise DamagedLibraryError(
            f"{database.path.parent}: its hasher is damaged ({error})"
        ) from error


def _to_npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _from_npy(content: bytes) -> NDArray[Any]:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
