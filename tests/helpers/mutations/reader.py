"""The process that reads mutated files for `tests.helpers.mutations.fuzz`."""

import contextlib
import io
import os
import resource
import tempfile
import warnings
from pathlib import Path

import numpy as np

from benchmarks.machine import peak_megabytes
from data.lists import ImageList
from data.pickles import load_pickle
from facehash.codes import check_packed
from facehash.config import load_config
from facehash.errors import InputError
from facehash.images.dates import date_taken
from facehash.images.metadata.picasa import faces_of, parse_folder
from facehash.images.metadata.takeout import parse_takeout
from facehash.images.metadata.xmp import parse_xmp
from facehash.images.read import MAX_PIXELS, decode_photo
from facehash.library.people.names import parse_names
from facehash.library.upkeep.backup_file import read_backup
from facehash.methods import options_class
from facehash.retrieval.codes_file import read_codes
from facehash.runs.files import read_history
from facehash.strict_yaml import parse_yaml

MOST_MEGABYTES = 1_430  # of 2^20 bytes
_LONGEST_ERROR = 2000


def answer_all(pipe):
    """Answer each name of a reader and content with one line, until this process is killed."""
    # libtiff writes warnings about each damaged file to stderr.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _limit_memory()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(EOFError):
        while True:
            name, content = pipe.recv()
            pipe.send(" ".join(_answer(name, content, Path(folder)).split()))


def _limit_memory():
    """Make a request for far more memory fail instead of exhausting the machine."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (in_use + 2 * MOST_MEGABYTES * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(name, content, folder):
    # Resets the measurement of peak memory, if Linux permits it.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    try:
        READERS[name](content, folder)
        answer = "value"
    except InputError as error:
        message = str(error)
        answer = "refused"
        if "\n" in message or not message or len(message) > _LONGEST_ERROR:
            answer = f"an error of {len(message)} characters: {message[:200]!r}"
    except BaseException as error:
        answer = f"{type(error).__name__}: {str(error)[:300]!r}"
    most = peak_megabytes()
    return answer if most < MOST_MEGABYTES else f"{most:.0f} MB of memory"


def _image(content, folder):
    pixels = decode_photo(io.BytesIO(content), "picture").pixels
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS


def _written(content, folder, name):
    path = folder / name
    path.write_bytes(content)
    return path


def _codes(content, folder, name="codes.npz"):
    found = read_codes(_written(content, folder, name))
    for part in ("gallery", "query"):
        codes, labels = getattr(found, f"{part}_codes"), getattr(found, f"{part}_labels")
        check_packed(codes, found.bits)
        assert labels.shape[0] == len(codes)
        assert labels.dtype == (np.int64 if labels.ndim == 1 else np.bool_)


def _codes_table(content, folder):
    _codes(content, folder, "codes.csv")


def _pickle(content, folder):
    waiting = [load_pickle(_written(content, folder, "file.pkl"))]
    for _ in range(1000):
        if not waiting:
            break
        value = waiting.pop()
        if isinstance(value, list | tuple):
            waiting += value[:100]
        else:
            assert value is None or isinstance(value, np.ndarray | int | float | str | bytes)


def _yaml(content, folder):
    parse_yaml(content.decode("utf-8", "replace"), "text")


def _config(content, folder):
    load_config(_written(content, folder, "run.yaml"), options_class).to_yaml()


def _names(content, folder):
    path = _written(content, folder, "names.csv")
    assert parse_names(f"csv:{path}", folder).listed is not None


def _xmp(content, folder):
    for one in parse_xmp(content).people.regions:
        x, y, width, height = one.box
        assert one.name and 0 <= x <= x + width <= 1 + 1e-9 and 0 <= y <= y + height <= 1 + 1e-9


def _picasa(content, folder):
    found = parse_folder(content)
    for value in found.faces.values():
        faces_of(value, found.contacts)


def _takeout(content, folder):
    assert all(name.strip() for name in parse_takeout(content).names)


def _backup(content, folder):
    found = read_backup(_written(content, folder, "names.json"))
    assert all(len(one.digest) == 64 and len(one.box) == 4 for one in found.names)


def _list(content, folder):
    listed = ImageList(_written(content, folder, "list.csv"), side=8)
    for _, pictures in listed.pictures:
        assert all(one.label and one.place.startswith("line ") for one in pictures)
    assert len(listed.files) > 1


def _movie_date(content, folder):
    found = date_taken(_written(content, folder, "clip.mp4"))
    if found is None:
        raise InputError("no date")
    assert found.year >= 1970


def _history(content, folder):
    read_history(_written(content, folder, "history.csv"))


READERS = {
    "image": _image,
    "pickle": _pickle,
    "yaml": _yaml,
    "config": _config,
    "codes.npz": _codes,
    "codes.csv": _codes_table,
    "names": _names,
    "backup": _backup,
    "xmp": _xmp,
    "picasa": _picasa,
    "takeout": _takeout,
    "history": _history,
    "movie date": _movie_date,
    "list": _list,
}
