"""Export the faces of a library to CSV, JSON or HDF5."""

import csv
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from facehash.library.derived.arrays import spaces
from facehash.library.derived.codes import read_hasher
from facehash.library.storage.records import StoredFace
from facehash.library.storage.settings import Settings
from facehash.library.storage.spreadsheet import plain
from facehash.library.storage.store import Store
from facehash.output import check_output, csv_format, hdf5_format, json_format, replace_output

COLUMNS = (
    "face_id", "name", "path", "face", "x", "y", "width", "height", "score", "quality", "copies",
    "damage", "seconds",
)  # fmt: skip

FORMATS = (
    csv_format(",".join(COLUMNS[:4])),
    json_format("schema", "settings"),
    hdf5_format("detector_identity"),
)
"""The formats of an export; the ending of its name selects one."""

_SUFFIXES = [suffix for one in FORMATS for suffix in one.suffixes]


def export(store: Store, path: Path) -> int:
    """Write all faces to a file that only its owner can read.

    CSV has one line per face, without vectors; ``copies`` are the other files of the photo,
    separated by ``|``, and ``damage`` says what is missing of it. JSON adds vectors and codes (in
    hex), and has ``copies`` as a list. HDF5 has arrays of n rows: ``face_id``, ``name``, ``path``,
    ``copies`` and ``damage`` (text), ``face``, ``box`` (float64 (n, 4)), ``seconds`` (the time in a
    video, else NaN), ``score``, ``quality`` and, if the library has them, ``embedding`` (float32)
    and ``code`` (packed uint8); its attributes are the settings of the library.

    The ending of the name selects the format; without one of these endings, as for a pipe, it is
    CSV.

    Returns:
        The number of faces.

    Raises:
        InputError: The name of a file does not end in .csv, .json, .h5 or .hdf5.
        LibraryError: The library is empty or damaged.
    """
    check_output(path, FORMATS, "export", force=True)
    suffix = path.suffix.lower() if path.suffix.lower() in _SUFFIXES else ".csv"
    with store.database.snapshot():
        settings, faces = store.settings(), store.faces()
        rows = {} if suffix == ".csv" else _rows(store, settings)
    with replace_output(path, private=True) as temporary:
        if suffix == ".csv":
            with temporary.open("w", newline="", encoding="utf-8", errors="replace") as file:
                write_csv(file, COLUMNS, (_values(face) for face in faces))
        elif suffix == ".json":
            _write_json(temporary, settings, faces, rows)
        else:
            _write_hdf5(temporary, settings, faces, rows)
    return len(faces)


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV table in which no spreadsheet finds a formula, see `plain`.

    The file is opened with ``newline=""``; None becomes an empty cell.
    """
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([plain(value) if isinstance(value, str) else value for value in row])


def joined(paths: Iterable[Path]) -> str:
    """Return several paths as one text, for a cell of a table."""
    return "|".join(map(str, paths))


def _values(face: StoredFace) -> tuple[object, ...]:
    return (
        face.id, face.name, str(face.path), face.number, *face.box, face.score, face.quality,
        joined(face.copies), face.damage, face.seconds,
    )  # fmt: skip


def _rows(store: Store, settings: Settings) -> dict[str, dict[int, NDArray[Any]]]:
    """Return embeddings and codes by face id."""
    fitted = read_hasher(store.database, settings) is not None
    return {
        column: {
            int(face_id): row
            for ids, rows in store.rows(column, space)
            for face_id, row in zip(ids, rows, strict=True)
        }
        for column, space in spaces(settings, fitted).items()
    }


def _write_json(
    path: Path,
    settings: Settings,
    faces: list[StoredFace],
    rows: dict[str, dict[int, NDArray[Any]]],
) -> None:
    listed = []
    for face in faces:
        entry: dict[str, Any] = dict(zip(COLUMNS, _values(face), strict=True))
        entry["copies"] = [str(path) for path in face.copies]
        for column, values in rows.items():
            row = values.get(face.id)
            if row is not None:
                entry[column] = row.tobytes().hex() if column == "code" else row.tolist()
        listed.append(entry)
    value = {"schema": 1, "settings": dataclasses.asdict(settings), "faces": listed}
    # JSON escapes also preserve paths that are not text.
    text = json.dumps(value, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _write_hdf5(
    path: Path,
    settings: Settings,
    faces: list[StoredFace],
    rows: dict[str, dict[int, NDArray[Any]]],
) -> None:
    import h5py

    from facehash.hdf5_matlab import create_hdf5

    text = h5py.string_dtype()
    with create_hdf5(path) as file:
        file.attrs["schema"] = 1
        for key, value in dataclasses.asdict(settings).items():
            if value is not None:
                file.attrs[key] = _whole(value) if isinstance(value, str) else value
        file["face_id"] = np.array([face.id for face in faces], np.int64)
        file["face"] = np.array([face.number for face in faces], np.int64)
        file["box"] = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
        seconds = [np.nan if face.seconds is None else face.seconds for face in faces]
        file["seconds"] = np.array(seconds, np.float64)
        file["score"] = np.array([face.score for face in faces], np.float64)
        file["quality"] = np.array([face.quality for face in faces], np.float64)
        for key, values in (
            ("name", [_whole(face.name or "") for face in faces]),
            ("path", [str(face.path).encode("utf-8", "replace") for face in faces]),
            ("copies", [joined(face.copies).encode("utf-8", "replace") for face in faces]),
            ("damage", [_whole(face.damage or "") for face in faces]),
        ):
            file.create_dataset(key, data=np.array(values, object), dtype=text)
        for column, found in rows.items():
            # In an undamaged library every face has both, see `check`.
            if len(found) == len(faces) and faces:
                file[column] = np.stack([found[face.id] for face in faces])


def _whole(text: str) -> str:
    """Replace the null character, at which HDF5 would end the text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
