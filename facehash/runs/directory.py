"""The run directory: everything about one training run, in files that any tool can read.

``config.yaml`` (resolved), ``environment.json``, ``split.npz``, ``history.csv`` (a row an epoch),
``model.keras`` (the best epoch; it exists when the run is finished), ``backup/`` (while
unfinished), ``codes.npz``, ``report.json``, ``figures/*.png``. What split and history hold is
written and read by `facehash.runs.files`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import file_lock, write_text
from facehash.strict_yaml import parse_yaml

# Where the data lies may differ between two machines without the run being another one.
_IGNORED_KEYS = frozenset({"dataset.path"})
_KEYS_OF_A_RUN = frozenset({"method", "bits", "dataset", "training"})


class RunError(InputError):
    """A run directory that cannot be used as asked."""


class DamagedRunError(RunError):
    """A file of a run is missing or damaged: only training anew can help."""


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

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training in this directory while the block runs.

        Raises:
            FileInUseError: Another process does.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, so that overwriting the run does not take the lock with it.
        with file_lock(self.path.with_name(f".{self.path.name}.lock"), str(self.path)):
            yield

    def check(self, config_yaml: str, overwrite: bool = False) -> None:
        """Refuse what `begin` would refuse, without touching anything.

        Args:
            config_yaml: The resolved configuration as YAML.
            overwrite: An earlier run's files may be deleted.

        Raises:
            RunError: The directory belongs to another configuration (naming the keys that
                differ), or holds something else than a run.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise RunError(f"{self.path}: is a file; choose another --name")
        if not self.config.is_file():
            if any(not entry.name.startswith(".") for entry in self.path.iterdir()):
                raise RunError(f"{self.path}: not empty and not a run; choose another --name")
            return
        old = self.read_config()
        if self.begun and not overwrite:
            self._refuse_another_configuration(old, config_yaml)

    def begin(self, config_yaml: str, overwrite: bool = False) -> None:
        """Make the directory ready for training by this configuration; `held` must be entered.

        Args:
            config_yaml: The resolved configuration as YAML.
            overwrite: Delete an earlier run's files, and nothing else that lies here.

        Raises:
            RunError: As `check`.
        """
        self.check(config_yaml, overwrite)
        if overwrite:
            for path in self._made_by_a_run():
                _remove(path)
        self.tidy()
        write_text(self.config, config_yaml)

    def tidy(self) -> None:
        """Remove what a killed process left half written, and the backup of a finished run."""
        if self.path.is_dir():
            for path in (self.config, *self._made_by_a_run()):
                for leftover in self.path.glob(f".{path.name}.*"):
                    _remove(leftover)
        if self.finished:
            _remove(self.backup.parent)

    def _made_by_a_run(self) -> list[Path]:
        """List what training and evaluation make here, apart from the configuration."""
        files = [self.environment, self.split, self.history, self.model, self.backup.parent]
        names = ("codes.npz", "report.json", "figures", "tensorboard")
        return files + [self.path / name for name in names]

    def _refuse_another_configuration(self, old_tree: dict[str, Any], config_yaml: str) -> None:
        old, new = flatten(old_tree), flatten(parse_yaml(config_yaml, "configuration"))
        differing = [
            f"{key} (was {old.get(key)!r}, now {new.get(key)!r})"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and key not in _IGNORED_KEYS
        ]
        if differing:
            state = "finished" if self.finished else "begun"
            raise RunError(
                f"{self.path}: {state} with another configuration: {', '.join(differing)}; "
                "choose another --name (--overwrite would delete that run)"
            )

    def read_config(self) -> dict[str, Any]:
        """Read the resolved configuration as plain values.

        Raises:
            RunError: This is no run directory.
        """
        if not self.config.is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")
        try:
            text = self.config.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise RunError(f"{self.config}: not UTF-8 text, so no run wrote it") from error
        tree = parse_yaml(text, str(self.config))
        if not isinstance(tree, dict) or not tree.keys() >= _KEYS_OF_A_RUN:
            raise RunError(f"{self.config}: not the configuration of a run; choose another --name")
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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
