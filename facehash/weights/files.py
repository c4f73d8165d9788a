"""Pretrained weights: where they lie, and that they are what they should be.

`facehash.weights.table` names source, licence, size and digest. A file is looked for in the
folder given (``--weights-dir``), the folder in the environment variable FACEHASH_WEIGHTS, the
user's cache, and for what comes in a Python package in that package. Every load verifies the
digest; what is missing is an error that names the command to get it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from facehash.errors import InputError, did_you_mean
from facehash.files import atomic_write, write_text
from facehash.weights.download import download
from facehash.weights.table import WEIGHTS, Weights


class WeightsError(InputError):
    """Weights that are missing, or are not what the table says."""


@dataclass(frozen=True)
class VerifiedFile:
    """Weights on disk whose digest is right.

    Attributes:
        path: The file.
        sha256: Its digest, 64 hexadecimal digits.
    """

    path: Path
    sha256: str


def entry(name: str) -> Weights:
    """Look weights up in the table.

    Raises:
        WeightsError: No such name.
    """
    if name not in WEIGHTS:
        raise WeightsError(f"weights {name!r} are unknown{did_you_mean(name, WEIGHTS)}")
    return WEIGHTS[name]


def folders(folder: Path | None = None) -> list[Path]:
    """List where weights are looked for; new ones go to the first.

    Args:
        folder: A folder that the user named, for example by ``--weights-dir``.

    Raises:
        WeightsError: A folder was named that is none.
    """
    named = [folder] if folder is not None else []
    if os.environ.get("FACEHASH_WEIGHTS"):
        named.append(Path(os.environ["FACEHASH_WEIGHTS"]))
    for path in named:
        if path.exists() and not path.is_dir():
            raise WeightsError(f"{path}: a folder of weights is needed, this is a file")
    return [*named, platformdirs.user_cache_path("facehash") / "weights"]


def locate(weights: Weights, folder: Path | None = None) -> Path | None:
    """Find a file of weights without looking into it; None when there is none."""
    places = [*folders(folder), *_package_folder(weights)]
    return next((p / weights.file for p in places if (p / weights.file).is_file()), None)


def find_weights(name: str, folder: Path | None = None) -> VerifiedFile:
    """Find weights and verify them.

    Args:
        name: A key of `WEIGHTS`.
        folder: Where to look first.

    Raises:
        WeightsError: Unknown, missing (with the command that brings them), or another file.
    """
    weights = entry(name)
    path = locate(weights, folder)
    if path is None:
        raise WeightsError(
            f"the weights {name!r} are not on this machine; get them with: {weights.remedy}"
        )
    with _telling_the_remedy(weights):
        return VerifiedFile(path, verify(weights, path))


def verify(weights: Weights, path: Path) -> str:
    """Check that a file is the one that the table names.

    Returns:
        Its SHA-256.

    Raises:
        WeightsError: Another size or digest.
    """
    size = path.stat().st_size
    if size != weights.size:
        raise _another(weights, path, f"has {size} bytes, not {weights.size}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    expected = weights.sha256 or _pinned(path)
    if expected is not None and sha256 != expected:
        raise _another(weights, path, f"its SHA-256 is {sha256}, not {expected}")
    if weights.md5 is not None:
        with path.open("rb") as file:
            # Not against an attacker: it is the digest that Keras publishes, see `Weights`.
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != weights.md5:
            raise _another(weights, path, f"its MD5 is {md5}, not {weights.md5}")
    return sha256


def recognise(path: Path) -> Weights:
    """Tell which weights a file is, by size and digest, whatever its name.

    Raises:
        WeightsError: No such file, or none of the table.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    size = path.stat().st_size
    for weights in WEIGHTS.values():
        if weights.size == size:
            verify(weights, path)
            return weights
    raise WeightsError(
        f"{path}: none of the known weights ({', '.join(WEIGHTS)}) has {size} bytes; a model of "
        f"your own needs no adding, name it as keras:{path}"
    )


def fetch(name: str, folder: Path | None = None) -> VerifiedFile:
    """Download weights to where they are looked for first, unless they are there already.

    Args:
        name: A key of `WEIGHTS`.
        folder: Where to, by default FACEHASH_WEIGHTS or the user's cache.

    Raises:
        InputError: Unknown, not to be had by download, no connection, or another file.
    """
    weights = entry(name)
    target = folders(folder)[0] / weights.file
    if not target.is_file():
        if weights.url is None:
            raise WeightsError(f"the weights {name!r} come with a package: {weights.remedy}")
        download(weights.url, target, weights.size, lambda part: verify(weights, part))
    with _telling_the_remedy(weights):
        return pin(weights, target)


def add(path: Path, folder: Path | None = None) -> VerifiedFile:
    """Copy a file of known weights to where weights are looked for first.

    Args:
        path: The file, under any name.
        folder: Where to, by default FACEHASH_WEIGHTS or the user's cache.

    Raises:
        WeightsError: As `recognise`.
    """
    weights = recognise(path)
    target = folders(folder)[0] / weights.file
    if not (target.exists() and target.samefile(path)):
        with atomic_write(target) as temporary:
            temporary.write_bytes(path.read_bytes())
            verify(weights, temporary)
    return pin(weights, target)


def pin(weights: Weights, path: Path) -> VerifiedFile:
    """Verify a file in a folder of weights and, where the table has no SHA-256, write it down."""
    sha256 = verify(weights, path)
    if weights.sha256 is None:
        # In the format of sha256sum, so that others can check it too.
        write_text(_pin_of(path), f"{sha256}  {path.name}\n")
    return VerifiedFile(path, sha256)


@contextlib.contextmanager
def _telling_the_remedy(weights: Weights) -> Iterator[None]:
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{error}; delete it, then: {weights.remedy}") from error


def _pin_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _pinned(path: Path) -> str | None:
    try:
        return _pin_of(path).read_text(encoding="utf-8").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return None


def _package_folder(weights: Weights) -> Iterator[Path]:
    """Find a package's folder without importing it: theirs fails to import without setuptools."""
    if weights.package is not None:
        module, inner = weights.package
        found = importlib.util.find_spec(module)
        for root in (found.submodule_search_locations or []) if found else []:
            yield Path(root) / inner


def _another(weights: Weights, path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path}: not the weights {weights.name!r}: {what}")
