"""The files of a run that hold arrays and tables: split.npz, history.csv and training.json."""

import csv
import json
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
    """Store the roles of a data set and what identifies it: labels, names and a digest.

    Args:
        path: split.npz of a run.
        dataset: The data set with the roles to store.
        validation: int64 (m,), the part of ``dataset.train`` held out for validation.
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
    return read_npz(path, _SPLIT, "train it again (--overwrite)")


def apply_split(path: Path, dataset: FaceDataset) -> FaceDataset:
    """Give a freshly loaded data set the roles that a run was trained with.

    Args:
        path: split.npz of the run.
        dataset: The same images, with any roles.

    Returns:
        The data set with the stored roles, checked.

    Raises:
        RunError: The data has changed since: images, people, pixels or their order.
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
            "the same people and counts, but other images"
        )
    return restored


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows of a history.csv, oldest first; empty if there is no file.

    Raises:
        DamagedRunError: A value is not a number.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return [{key: float(value) for key, value in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise DamagedRunError(f"{path}: damaged ({error}); --overwrite starts again") from error


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows of a history.csv; floats keep all digits."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_training(path: Path) -> dict[str, Any] | None:
    """Read training.json: how the statistics of batch normalization were made, and accuracies.

    Returns:
        ``{"batch_statistics": "reestimated" | "moving" | "none",
        "accuracy": {"training": x, "inference": y}}`` with accuracies from 0 to 1, or None without
        the file, which versions before 0.2 do not write.

    Raises:
        DamagedRunError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        accuracy = {key: float(content["accuracy"][key]) for key in ("training", "inference")}
        return {"batch_statistics": str(content["batch_statistics"]), "accuracy": accuracy}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedRunError(f"{path}: damaged ({error}); --overwrite starts again") from error


def read_npz(path: Path, required: Sequence[str], remedy: str) -> dict[str, NDArray[Any]]:
    """Read all arrays of a .npz file that this project wrote; nothing is unpickled.

    Args:
        path: The file.
        required: Names of arrays that must be present.
        remedy: Advice for the user if the file is damaged.

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
        # NumPy passes on the errors of zipfile, zlib and its own header parser.
        raise DamagedRunError(f"{path}: missing or damaged ({error}); {remedy}") from error
    return arrays
