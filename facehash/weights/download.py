"""Getting a file of known size and content over a connection that may break."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from tqdm import tqdm

from facehash.errors import InputError
from facehash.files import file_lock

_ATTEMPTS = 5
_SECONDS_OF_SILENCE = 30.0
_BLOCK = 1 << 18


class DownloadError(InputError):
    """A download that failed; what had arrived is kept unless it was wrong."""


def download(url: str, target: Path, size: int, verify: Callable[[Path], object]) -> None:
    """Download a file, whole and verified or not at all.

    What arrives lies beside the target as ``<name>.part`` until it is complete; a broken download
    goes on there, in this call or the next.

    Args:
        url: Address, https or http.
        target: Where the file is to be; its folder is made.
        size: Bytes it must have.
        verify: Called with the complete file before it takes its name; an InputError means that
            it is the wrong one, and deletes it.

    Raises:
        DownloadError: No connection, an error of the server, a connection that kept breaking, or
            the wrong file.
        FileInUseError: Another process is downloading it.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url}: only https and http addresses can be fetched")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with file_lock(target.with_name(f".{target.name}.lock"), str(target)):
        with part.open("ab") as file:
            _complete(url, file, size)
        try:
            verify(part)
        except InputError as error:
            part.unlink()
            raise DownloadError(f"{url}: sent another file and it was deleted: {error}") from error
        part.replace(target)


def _complete(url: str, file: BinaryIO, size: int) -> None:
    """Append to `file` until it has `size` bytes, going on after breaks."""
    problem = "it sent nothing"
    if file.tell() > size:
        _empty(file)
    with tqdm(
        total=size, initial=file.tell(), unit="B", unit_scale=True, disable=None, leave=False
    ) as bar:
        for _ in range(_ATTEMPTS):
            if file.tell() == size:
                return
            try:
                _append(url, file, size, bar)
                problem = "the connection broke"
            except urllib.error.HTTPError as error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    had = file.tell()
                    _empty(file)
                    raise DownloadError(
                        f"{url}: has less than {had + 1} bytes, not {size}"
                    ) from error
                raise DownloadError(f"{url}: {error.code} {error.reason}") from error
            except (OSError, http.client.HTTPException) as error:
                problem = str(getattr(error, "reason", None) or error or type(error).__name__)
            bar.n = file.tell()
        if file.tell() != size:
            kept = f"; {file.tell()} of {size} bytes are kept" if file.tell() else ""
            raise DownloadError(f"{url}: {problem}{kept}; the same command tries again")


def _append(url: str, file: BinaryIO, size: int, bar: tqdm[NoReturn]) -> None:
    """Ask once for what is missing and append what comes."""
    have = file.tell()
    request = urllib.request.Request(url)  # noqa: S310 - `download` has looked at the scheme
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=_SECONDS_OF_SILENCE) as response:  # noqa: S310
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if have and not (response.status == http.client.PARTIAL_CONTENT and begins):
            # The server does not know Range and sends the file from its beginning.
            _empty(file)
            bar.n = 0
        while block := response.read(_BLOCK):
            if file.tell() + len(block) > size:
                _empty(file)
                raise DownloadError(f"{url}: more than the {size} bytes that the file has")
            file.write(block)
            bar.update(len(block))


def _empty(file: BinaryIO) -> None:
    file.truncate(0)
    file.seek(0)
