"""Pretrained weights on disk: find, verify, download and add them.

`facehash.weights.table` lists source, license, size and digest. A file is looked up in the folder
that was passed (``--weights-dir``), then in the folder named by the environment variable
FACEHASH_WEIGHTS, then in the user's cache, and finally in the Python package that contains it.
Every load verifies the digest. Only `fetch` uses the network.
"""

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
from facehash.printing import progress
from facehash.weights.table import WEIGHTS, Weights

_TIMEOUT = 30.0  # seconds without an answer
_CHUNK = 1 << 18  # bytes


class WeightsError(InputError):
    """Weights that are missing, cannot be downloaded, or differ from the table."""


@dataclass(frozen=True)
class VerifiedFile:
    """A file of weights whose SHA-256 (64 hexadecimal digits) has been verified."""

    path: Path
    sha256: str


def entry(name: str) -> Weights:
    """Return the entry of the table with this name; WeightsError if it is unknown."""
    if name not in WEIGHTS:
        raise WeightsError(f"weights {name!r} are unknown{did_you_mean(name, WEIGHTS)}")
    return WEIGHTS[name]


def folders(folder: Path | None = None) -> list[Path]:
    """List the folders that are searched for weights, `folder` first; new files go to the first."""
    named = [folder] if folder is not None else []
    if os.environ.get("FACEHASH_WEIGHTS"):
        named.append(Path(os.environ["FACEHASH_WEIGHTS"]))
    for path in named:
        if path.exists() and not path.is_dir():
            raise WeightsError(f"{path}: expected a folder of weights, found a file")
    return [*named, platformdirs.user_cache_path("facehash") / "weights"]


def locate(weights: Weights, folder: Path | None = None) -> Path | None:
    """Return where a file of weights is, without reading it; None if it is missing."""
    places = [*folders(folder), *_package_folder(weights)]
    return next((p / weights.file for p in places if (p / weights.file).is_file()), None)


def find_weights(name: str, folder: Path | None = None) -> VerifiedFile:
    """Find weights on this machine and verify them.

    Args:
        name: A key of `WEIGHTS`.
        folder: The folder to search first.

    Raises:
        WeightsError: Unknown, missing (the message names the command that installs them), or a
            file with another size or digest.
    """
    weights = entry(name)
    path = locate(weights, folder)
    if path is None:
        raise WeightsError(
            f"the weights {name!r} are not on this machine; get them with: {weights.remedy}"
        )
    with _with_remedy(weights):
        return VerifiedFile(path, verify(weights, path))


def verify(weights: Weights, path: Path, shown: str | None = None) -> str:
    """Check size and digest of a file against the table, and return its SHA-256.

    Raises:
        WeightsError: Another size or digest; the message calls the file `shown` (default: `path`).
    """
    wrong = f"{shown or path}: not the weights {weights.name!r}:"
    size = path.stat().st_size
    if size != weights.size:
        raise WeightsError(f"{wrong} has {size} bytes, not {weights.size}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    expected = weights.sha256 or _pinned(path)
    if expected is not None and sha256 != expected:
        raise WeightsError(f"{wrong} its SHA-256 is {sha256}, not {expected}")
    if weights.md5 is not None:
        with path.open("rb") as file:
            # Not against an attacker: it is the digest that Keras publishes, see `Weights`.
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != weights.md5:
            raise WeightsError(f"{wrong} its MD5 is {md5}, not {weights.md5}")
    return sha256


def recognize(path: Path) -> Weights:
    """Return the entry of the table that matches a file by size and digest, else WeightsError."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    size = path.stat().st_size
    for weights in WEIGHTS.values():
        if weights.size == size:
            verify(weights, path)
            return weights
    raise WeightsError(
        f"{path}: none of the known weights ({', '.join(WEIGHTS)}) has {size} bytes; "
        f"your own model needs no adding, use it as keras:{path}"
    )


def fetch(name: str, folder: Path | None = None) -> VerifiedFile:
    """Download weights unless they are already in the first folder that is searched.

    Args:
        name: A key of `WEIGHTS`.
        folder: Target folder; default: FACEHASH_WEIGHTS or the user's cache.

    Raises:
        WeightsError: Unknown, part of a package instead, no connection, an HTTP error, or a file
            with another size or digest, which is deleted.
    """
    weights = entry(name)
    target = folders(folder)[0] / weights.file
    if not target.is_file():
        if weights.url is None:
            raise WeightsError(f"the weights {name!r} are part of a package: {weights.remedy}")
        with atomic_write(target) as temporary:
            _download(weights.url, temporary, weights.size)
            verify(weights, temporary, f"{weights.url} (downloaded and deleted)")
    with _with_remedy(weights):
        return _pin(weights, target)


def add(path: Path, folder: Path | None = None) -> VerifiedFile:
    """Copy a file of known weights, under any name, to the first folder that is searched.

    Raises:
        WeightsError: The file is missing or not in the table.
    """
    weights = recognize(path)
    target = folders(folder)[0] / weights.file
    if not (target.exists() and target.samefile(path)):
        with atomic_write(target) as temporary:
            temporary.write_bytes(path.read_bytes())
            verify(weights, temporary)
    return _pin(weights, target)


def _download(url: str, path: Path, size: int) -> None:
    """Download a file of `size` bytes to `path`, with a progress bar."""
    # Imported here: only a download needs the network.
    import pooch
    from requests.exceptions import HTTPError, RequestException

    with progress(total=size, desc=path.name, unit="B", unit_scale=True, leave=False) as bar:
        downloader = pooch.HTTPDownloader(bar, chunk_size=_CHUNK, timeout=_TIMEOUT)
        try:
            downloader(url, path, None)
        except HTTPError as error:
            # "404 Client Error: Not Found for url: ..."
            answer = str(error).partition(" for url")[0]
            raise WeightsError(f"{url}: the server answered {answer}") from error
        except RequestException as error:
            raise WeightsError(
                f"{url}: no connection to the server, or it broke ({type(error).__name__}); "
                "run the same command to try again"
            ) from error


def _pin(weights: Weights, path: Path) -> VerifiedFile:
    """Verify a file; if the table has no SHA-256, store it in a file beside it."""
    sha256 = verify(weights, path)
    if weights.sha256 is None:
        # In the format of sha256sum, so that others can check it too.
        write_text(Path(f"{path}.sha256"), f"{sha256}  {path.name}\n")
    return VerifiedFile(path, sha256)


def _pinned(path: Path) -> str | None:
    try:
        return Path(f"{path}.sha256").read_text(encoding="utf-8").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return None


@contextlib.contextmanager
def _with_remedy(weights: Weights) -> Iterator[None]:
    """Add to a WeightsError how to replace the file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{error}; delete it, then: {weights.remedy}") from error


def _package_folder(weights: Weights) -> Iterator[Path]:
    """Find a package's folder without importing it: its import fails without setuptools."""
    if weights.package is not None:
        module, inner = weights.package
        found = importlib.util.find_spec(module)
        for root in (found.submodule_search_locations or []) if found else []:
            yield Path(root) / inner
