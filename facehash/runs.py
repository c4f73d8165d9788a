"""The run directory: everything about one training run, in files that any tool can read.

``config.yaml`` (resolved), ``environment.json``, ``split.npz``, ``history.csv`` (a row an epoch),
``model.keras`` (the best epoch; it exists when the run is finished), ``backup/`` (while
unfinished), ``codes.npz``, ``report.json``, ``figures/*.png``.
"""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import FaceDataset, IndexArray
from facehash.errors import InputError
from facehash.files import replacing, write_text
from facehash.strict_yaml import parse_yaml

# Where the data lies may differ between two machines without the run being another one.
_IGNORED_KEYS = frozenset({"dataset.path"})


class RunError(InputError):
    """A run directory that cannot be used as asked."""


@dataclass(frozen=True)
class RunDirectory:
    """The names of a run's files, and what they say about its state.

    Attributes:
        path: The directory; it need not exist.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, backend, device, git commit, seed."""
        return self.path / "environment.json"

    @property
    def split(self) -> Path:
        """The index arrays of all roles, and the labels that they refer to."""
        return self.path / "split.npz"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model.keras"

    @property
    def backup(self) -> Path:
        """What an interrupted run goes on from."""
        return self.path / "backup" / "latest.npz"

    @property
    def finished(self) -> bool:
        """Whether the run has its trained model."""
        return self.model.is_file()

    @property
    def begun(self) -> bool:
        """Whether anything has been learned here that another configuration would spoil."""
        return self.finished or self.history.is_file() or self.backup.is_file()

    def begin(self, config_yaml: str, overwrite: bool = False) -> None:
        """Make the directory ready for training by this configuration.

        Args:
            config_yaml: The resolved configuration as YAML.
            overwrite: Delete what an earlier run left here.

        Raises:
            RunError: The directory belongs to another configuration (naming the keys that
                differ), or is no run directory.
        """
        if overwrite and self.config.is_file():
            shutil.rmtree(self.path)
        if self.begun:
            self._refuse_another_configuration(config_yaml)
        elif not self.config.is_file() and self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path}: not empty and not a run; choose another --name")
        write_text(self.config, config_yaml)

    def _refuse_another_configuration(self, config_yaml: str) -> None:
        old = flatten(self.read_config())
        new = flatten(parse_yaml(config_yaml, "configuration"))
        differing = [
            f"{key} (was {old.get(key)!r}, now {new.get(key)!r})"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and key not in _IGNORED_KEYS
        ]
        if differing:
            state = "finished" if self.finished else "begun"
            raise RunError(
                f"{self.path}: {state} with another configuration: {', '.join(differing)}; "
                "choose another --name, or --overwrite to delete it"
            )

    def write_split(self, dataset: FaceDataset, validation: IndexArray) -> None:
        """Store who trains, answers, asks and validates, with the labels they refer to."""
        with replacing(self.split) as temporary:
            np.savez_compressed(
                temporary,
                train=dataset.train,
                gallery=dataset.gallery,
                query=dataset.query,
                validation=validation,
                labels=dataset.labels,
                identities=np.array(dataset.identities, dtype=np.str_),
            )

    def apply_split(self, dataset: FaceDataset) -> FaceDataset:
        """Give a freshly loaded data set the roles that the run was trained with.

        Raises:
            RunError: The data has changed since: other images, people or order.
        """
        split = self.read_split()
        if not np.array_equal(split["labels"], dataset.labels) or (
            tuple(split["identities"].tolist()) != dataset.identities
        ):
            raise RunError(
                f"{self.path}: the data set {dataset.name} is not the one of this run: "
                f"{len(dataset.labels)} images of {len(dataset.identities)} people now, "
                f"{len(split['labels'])} of {len(split['identities'])} then, or in another order"
            )
        return replace(
            dataset, train=split["train"], gallery=split["gallery"], query=split["query"]
        ).check()

    def read_split(self) -> dict[str, NDArray[Any]]:
        """Read the arrays of `write_split`.

        Raises:
            RunError: Missing or damaged.
        """
        try:
            with np.load(self.split, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{self.split}: missing or damaged ({error}); train the run again"
            ) from error

    def read_config(self) -> dict[str, Any]:
        """Read the resolved configuration as plain values.

        Raises:
            RunError: This is no run directory.
        """
        if not self.config.is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")
        tree = parse_yaml(self.config.read_text(encoding="utf-8"), str(self.config))
        if not isinstance(tree, dict):
            raise RunError(f"{self.config}: not a configuration")
        return tree


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into ``{"section.key": value}``."""
    if not isinstance(tree, Mapping):
        return {prefix.removesuffix("."): tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in flatten(branch, f"{prefix}{name}.").items()
    }


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows of a history.csv, oldest first; none when there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows of a history.csv; floats keep every digit."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
