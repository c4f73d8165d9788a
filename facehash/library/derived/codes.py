"""Codes made of a library's vectors: ``--codes lsh:64`` and ``--codes itq:64``.

A hasher is fitted to the library once, after the first photos were indexed, and kept in it; faces
that come later are encoded by the same one, or codes could not be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed, check_length
from facehash.errors import InputError, did_you_mean
from facehash.hashing import HASHERS, LinearHash
from facehash.library.derived.npy import from_npy, to_npy
from facehash.library.storage.database import DamagedLibraryError, Database
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import unit_rows


def parse_codes(codes: str, dimension: int) -> str:
    """Return what ``--codes`` says in its one spelling, for example ``"itq:64"``.

    Args:
        codes: ``lsh:BITS`` or ``itq:BITS``.
        dimension: Length of the vectors to be hashed.

    Raises:
        InputError: Another hasher than there is, or a length that no code of it has.
    """
    name, _, bits = codes.strip().lower().partition(":")
    if name not in HASHERS:
        raise InputError(f"--codes {codes}: no such codes{did_you_mean(name, HASHERS)}")
    if not bits.isdecimal():
        raise InputError(f"--codes {codes}: give the bits as well, for example {name}:64")
    if name == "itq" and int(bits) > dimension:
        # Told by the fit as well, but that comes after hours of indexing.
        raise InputError(
            f"--codes {codes}: itq has at most one bit a dimension, and the embedder's vectors "
            f"have {dimension} (lsh has no such limit)"
        )
    return f"{name}:{check_length(int(bits))}"


def encode(hasher: LinearHash, rows: NDArray[np.float32], settings: Settings) -> Packed:
    """Hash vectors as the library's were hashed.

    Args:
        hasher: Fitted to the library.
        rows: float32 (n, dimension), finite.
        settings: What the library was made with; vectors compared by cosine are scaled to length 1
            first, as their length means nothing.

    Returns:
        uint8 (n, bytes), packed codes.
    """
    return hasher.encode(unit_rows(rows) if settings.metric == "cosine" else rows)


def fit_codes(store: Store, settings: Settings) -> LinearHash | None:
    """Fit a hasher to all vectors of the library and give every face its code.

    Args:
        store: The library, held for writing.
        settings: What it was made with; says which codes.

    Returns:
        The hasher; None of a library of fewer than two faces, or that wants no codes.

    Raises:
        InputError: The vectors cannot be hashed to so many bits.
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
            [(key, to_npy(array)) for key, array in hasher.arrays().items()],
        )
        encode_all(store, settings, hasher)
    return hasher


def encode_all(store: Store, settings: Settings, hasher: LinearHash) -> None:
    """Give every face that has a vector the code of it, within the caller's transaction."""
    # Read before written: a query that runs while its rows change may meet them twice.
    for ids, rows in list(store.rows("embedding", settings.space)):
        codes = encode(hasher, rows, settings)
        store.database.run_many(
            "UPDATE faces SET code = ?1 WHERE id = ?2 AND code IS NOT ?1",
            [(code.tobytes(), int(face_id)) for code, face_id in zip(codes, ids, strict=True)],
        )


def read_hasher(database: Database, settings: Settings) -> LinearHash | None:
    """Return the hasher that was fitted to a library, None before.

    Raises:
        DamagedLibraryError: What is stored of it cannot be read.
    """
    stored = database.rows("SELECT name, npy FROM hasher")
    if not stored or settings.codes is None:
        return None
    try:
        arrays = {name: from_npy(npy) for name, npy in stored}
        hasher = HASHERS[settings.codes.partition(":")[0]].from_arrays(arrays)
        made_for = (settings.dimension, settings.code_space and settings.code_space.dimension)
        if (hasher.dimension, hasher.bits) != made_for:
            raise ValueError(f"it makes {hasher.bits} bits of {hasher.dimension} numbers")
        return hasher
    # Whatever the damage leads NumPy or the hasher to.
    except Exception as error:
        raise DamagedLibraryError(
            f"{database.path.parent}: its hasher is damaged ({error})"
        ) from error
