"""The run directory: everything about one training run, in files that any tool can read.

Scoring adds ``codes.npz``, ``report.json`` and ``figures/*.png`` to the files of `RunDirectory`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facehash.config import BEFORE_0_2
from facehash.errors import InputError
from facehash.files import file_lock, write_text
from facehash.runs.continuation import why_another_run
from facehash.strict_yaml import parse_yaml

_KEYS_OF_A_RUN = frozenset({"method", "bits", "dataset", "training"})


class RunError(InputError):
    """A run directory that cannot be used as requested."""


class DamagedRunError(RunError):
    """A file of a run is missing or damaged; only training again helps."""


class _Entry:
    """An attribute of a `RunDirectory`: the path of a file in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunDirectory, owner: type[RunDirectory]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run's files, and the state of the run."""

    path: Path  # the directory, which need not exist

    config = _Entry("config.yaml")  # the resolved configuration
    environment = _Entry("environment.json")  # versions, backend, device, git commit, seed
    split = _Entry("split.npz")  # index arrays of all roles, and the labels they refer to
    history = _Entry("history.csv")  # loss terms, one row per epoch
    training = _Entry("training.json")  # batch statistics, and the accuracy on training images
    model = _Entry("model.keras")  # of the best epoch; exists when the run is finished
    backup = _Entry("backup/latest.npz")  # from which an unfinished run resumes
    state = _Entry("state.npz")  # from which a finished run goes on, unless it has a schedule
    checkpoints = _Entry("checkpoints")  # models of every so many epochs, by option
    codes = _Entry("codes.npz")  # of gallery and query, by evaluation
    report = _Entry("report.json")  # their scores
    learning_curve = _Entry("figures/learning_curve.png")  # drawn from the history

    @property
    def finished(self) -> bool:
        """Whether the run has its trained model."""
        return self.model.is_file()

    @property
    def begun(self) -> bool:
        """Whether the run has learned something that another configuration would spoil."""
        return self.finished or self.history.is_file() or self.backup.is_file()

    @contextlib.contextmanager
    def begin(self, config_yaml: str, overwrite: bool = False) -> Iterator[None]:
        """Check the directory once, and keep other processes from training in it.

        The directory itself is left alone until `prepare`, so that a training that cannot start
        costs no earlier run.

        Args:
            config_yaml: The resolved configuration as YAML.
            overwrite: Whether an earlier run may be deleted.

        Raises:
            FileInUseError: Another process trains here.
            RunError: The directory belongs to another configuration (the message names the keys
                that differ), or is not a run directory.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, so that overwriting the run does not delete the lock.
        with file_lock(self.path.with_name(f".{self.path.name}.lock"), str(self.path)):
            self._check(config_yaml, overwrite)
            yield

    def prepare(self, config_yaml: str, overwrite: bool = False) -> None:
        """Write the configuration, and delete an earlier run; call it inside `begin`.

        Args:
            config_yaml: As for `begin`.
            overwrite: Delete the files of an earlier run, but no others.
        """
        if overwrite:
            for path in self._made_by_a_run():
                _remove(path)
        self.tidy()
        write_text(self.config, config_yaml)

    def tidy(self) -> None:
        """Remove half-written files of a killed process, and the backup of a finished run."""
        if self.path.is_dir():
            for path in (self.config, *self._made_by_a_run()):
                for leftover in self.path.glob(f".{path.name}.*"):
                    _remove(leftover)
        if self.finished:
            _remove(self.backup.parent)

    def reopen(self) -> None:
        """Make a finished run unfinished, so that it resumes from the backup written before.

        What describes the model is deleted with it.
        """
        _remove(self.model)  # first: without it, the backup counts
        for path in (self.state, self.training, *self._evaluated()):
            _remove(path)

    def _made_by_a_run(self) -> list[Path]:
        """List what training and evaluation write here, except the configuration."""
        files = [self.environment, self.split, self.history, self.training, self.model]
        files += [self.backup.parent, self.state, self.checkpoints, self.path / "tensorboard"]
        return files + self._evaluated()

    def _evaluated(self) -> list[Path]:
        names = (self.codes.name, self.report.name, "figures", "export")
        return [self.path / name for name in names]

    def _check(self, config_yaml: str, overwrite: bool) -> None:
        """Refuse a directory that is no run, or one of another configuration."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise RunError(f"{self.path}: is a file; choose another --name")
        if not self.config.is_file():
            if any(not entry.name.startswith(".") for entry in self.path.iterdir()):
                raise RunError(f"{self.path}: not empty and not a run; choose another --name")
            return
        old = self.read_config()
        if overwrite or not self.begun:
            return
        new = flatten(_with_earlier_values(parse_yaml(config_yaml, "configuration")))
        old = flatten(old)
        if reason := why_another_run(old, new):
            state = "finished" if self.finished else "started"
            raise RunError(
                f"{self.path}: {state} with another configuration: {reason}; "
                "choose another --name (--overwrite would delete that run)"
            )

    def read_config(self, complete: bool = True) -> dict[str, Any]:
        """Read the resolved configuration as plain values.

        Args:
            complete: Give keys that version 0.1.0 did not have the values of `BEFORE_0_2`.

        Raises:
            RunError: This is not a run directory.
        """
        if not self.config.is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")
        try:
            text = self.config.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise RunError(f"{self.config}: not UTF-8 text; choose another --name") from error
        tree = parse_yaml(text, str(self.config))
        if not isinstance(tree, dict) or not tree.keys() >= _KEYS_OF_A_RUN:
            raise RunError(f"{self.config}: not the configuration of a run; choose another --name")
        return _with_earlier_values(tree) if complete else tree


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into ``{"section.key": value}``."""
    if not isinstance(tree, Mapping):
        return {prefix.removesuffix("."): tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in flatten(branch, f"{prefix}{name}.").items()
    }


def _with_earlier_values(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the values of `BEFORE_0_2` for keys that it lacks."""
    complete = dict(tree)
    for key, value in BEFORE_0_2.items():
        name, _, option = key.partition(".")
        if isinstance(section := complete.get(name), Mapping):
            complete[name] = {option: value} | dict(section)
    return complete


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
