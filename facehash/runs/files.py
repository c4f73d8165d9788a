"""The files of a run that hold arrays and tables: split.npz and history.csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import FaceDataset, IndexArray
from facehash.files import atomic_write
from facehash.runs.directory import DamagedRunError, RunError

_SPLIT = ("train", "gallery", "query", "validation", "labels", "identities", "digest")


def write_split(path: Path, dataset: FaceDataset, validation: IndexArray) -> None:
    """Store who trains, answers, asks and validates, and what tells the data set from others.

    Args:
        path: split.npz of a run.
        dataset: With the roles to be stored.
        validation: Indices, part of ``dataset.train``, that are not fitted.
    """
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            train=dataset.train,
            gallery=dataset.gallery,
            query=dataset.query,
            validation=validation,
            labels=dataset.labels,
            identities=np.array(dataset.identities, dtype=np.str_),
            digest=np.array(dataset.digest(), dtype=np.str_),
        )


def read_split(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of `write_split`.

    Raises:
        DamagedRunError: Missing or damaged.
    """
    return read_npz(path, _SPLIT, "train the run again")


def apply_split(path: Path, dataset: FaceDataset) -> FaceDataset:
    """Give a freshly loaded data set the roles that a run was trained with.

    Args:
        path: split.npz of the run.
        dataset: The same images, with any roles.

    Returns:
        The data set with the stored roles, checked.

    Raises:
        RunError: The data has changed since: other images, people, pixels or order.
    """
    split = read_split(path)
    if not np.array_equal(split["labels"], dataset.labels) or (
        tuple(split["identities"].tolist()) != dataset.identities
    ):
        raise RunError(
            f"{path.parent}: the data set {dataset.name} is not the one of this run: "
            f"{len(dataset.labels)} images of {len(dataset.identities)} people now, "
            f"{len(split['labels'])} of {len(split['identities'])} then, or in another order"
        )
    restored = replace(
        dataset, train=split["train"], gallery=split["gallery"], query=split["query"]
    ).check()
    if restored.digest() != str(split["digest"]):
        raise RunError(
            f"{path.parent}: the data set {dataset.name} is not the one of this run: "
            "the same people and counts, but other pictures"
        )
    return restored


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows of a history.csv, oldest first; none when there is no file.

    Raises:
        DamagedRunError: Something in it is no number.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return [{key: float(value) for key, value in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise DamagedRunError(f"{path}: damaged ({error}); --overwrite begins anew") from error


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows of a history.csv; floats keep every digit."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_npz(path: Path, required: Sequence[str], remedy: str) -> dict[str, NDArray[Any]]:
    """Read all arrays of a .npz file that this project wrote; nothing is unpickled.

    Args:
        path: The file.
        required: Names that must be there.
        remedy: What the user can do when it is damaged.

    Raises:
        DamagedRunError: Missing, damaged, or without a required array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        missing = [name for name in required if name not in arrays]
        if missing:
            raise KeyError(f"no array {missing[0]!r}")
    except Exception as error:
        # NumPy lets the errors of zipfile, zlib and its own header parser through.
        raise DamagedRunError(f"{path}: missing or damaged ({error}); {remedy}") from error
    return arrays
