import errno
import os
import subprocess
import sys
import time
import tracemalloc

import h5py
import numpy as np
import pytest

import data
from data import cache as module
from data.cache import CacheError, open_or_build
from data.conversion import Block
from data.labeled_images import KNOWN_OR_QUERY, LabeledImages
from facehash.config import DatasetConfig
from tests.conftest import ROOT
from tests.helpers.datasets import random_pixels, write_pickle


class Bytes:
    """A source whose files are images of one value each, the value being the file's content."""

    side = 4

    def __init__(self, root):
        self.root = root
        self.loader = "bytes"
        self.conversions = 0

    @property
    def files(self):
        return sorted(self.root.iterdir())

    def blocks(self):
        self.conversions += 1
        for path in self.files:
            value = int(path.read_text())
            role = KNOWN_OR_QUERY[value == 9]
            yield Block(np.full((2, 4, 4, 3), value, np.uint8), [value, 7], role)


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    (root / "a").write_text("5")
    (root / "b").write_text("9")
    return Bytes(root)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "bytes.h5"


def visible(path):
    return [one for one in path.parent.iterdir() if not one.name.endswith(".lock")]


def test_a_source_is_converted_once_and_then_opened(source, path):
    for _ in range(3):
        faces = open_or_build(source, path)
        assert isinstance(faces, LabeledImages) and isinstance(faces.images, np.memmap)
        assert faces.images[:, 0, 0, 0].tolist() == [5, 5, 9, 9]
        assert faces.identities == ("5", "7", "9")
        assert faces.labels.tolist() == [0, 1, 2, 1] and faces.labels.dtype == np.int64
        assert faces.is_query.tolist() == [False, False, True, True]
    assert source.conversions == 1 and visible(path) == [path]


def test_a_file_added_removed_renamed_changed_or_touched_rebuilds(source, path):
    root = source.root
    changes = [
        lambda: (root / "c").write_text("6"),
        lambda: (root / "c").unlink(),
        lambda: (root / "b").rename(root / "c"),
        lambda: (root / "a").write_text("55"),
        lambda: os.utime(root / "c", (5, 5)),
    ]
    open_or_build(source, path)
    for done, change in enumerate(changes, start=2):
        change()
        faces = open_or_build(source, path)
        assert source.conversions == done
        assert len(faces.labels) == 2 * len(source.files)
        open_or_build(source, path)
        assert source.conversions == done


def test_other_parameters_or_another_schema_rebuild(source, path, monkeypatch):
    open_or_build(source, path)
    source.loader = "another"
    open_or_build(source, path)
    assert source.conversions == 2
    monkeypatch.setattr(module, "SCHEMA", module.SCHEMA + 1)
    open_or_build(source, path)
    assert source.conversions == 3


def half(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def no_labels(path):
    with h5py.File(path, "r+") as file:
        del file["labels"]


@pytest.mark.parametrize("damage", [half, no_labels])
def test_a_damaged_cache_is_rebuilt_with_a_warning(source, path, damage, caplog):
    open_or_build(source, path)
    damage(path)
    faces = open_or_build(source, path)
    assert source.conversions == 2 and len(faces.labels) == 4
    assert "is damaged" in caplog.text and "converting its source again" in caplog.text
    open_or_build(source, path)
    assert source.conversions == 2


def test_images_stay_readable_while_the_cache_is_rebuilt(source, path):
    old = open_or_build(source, path)
    (source.root / "a").write_text("66")
    new = open_or_build(source, path)
    assert old.images[0].max() == 5 and new.images[0].max() == 66


def test_a_failed_conversion_leaves_nothing_and_keeps_the_old_cache(source, path):
    open_or_build(source, path)
    before = path.read_bytes()
    (source.root / "c").write_text("no number")
    with pytest.raises(ValueError, match="invalid literal"):
        open_or_build(source, path)
    assert visible(path) == [path] and path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="cannot be stored here: .*; name another folder in the"):
        open_or_build(source, tmp_path / "file" / "inside" / "bytes.h5")


IMAGES = 50 * 32 * 32 * 3 * 20  # bytes that SLOW converts


@pytest.mark.parametrize("limit", [0, IMAGES // 2, IMAGES + 1, IMAGES + 3000])
def test_a_full_disk_names_the_folder_and_the_remedy_and_leaves_nothing(
    source, path, tmp_path, limit
):
    # The limits fail while images are collected, stored, and when the file is closed. HDF5 on its
    # own would crash the process in the last case.
    resource = pytest.importorskip("resource")
    path.parent.mkdir()
    arguments = [sys.executable, "-c", SLOW, source.root, path, os.devnull, 0]
    done = subprocess.run(
        [str(one) for one in arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"data.cache.CacheError: {path.parent}: no space left for the converted images of "
        f"{source.root} ({os.strerror(errno.EFBIG)}); free some, or name a folder on another disk "
        "in the environment variable FACEHASH_CACHE"
    )
    assert visible(path) == []


# A conversion in its own process, slow enough to be interrupted.
SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from data.cache import open_or_build
from data.conversion import Block

class Slow:
    side, loader = 32, "slow"
    root = Path(sys.argv[1])
    files = sorted(root.iterdir())
    def blocks(self):
        with open(sys.argv[3], "a") as file:
            file.write("converting\\n")
        for number in range(20):
            yield Block(np.full((50, 32, 32, 3), number, np.uint8), [number] * 50)
            print("block", number, flush=True)
            time.sleep(float(sys.argv[4]))

print(len(open_or_build(Slow(), Path(sys.argv[2])).labels))
"""


def start_slow(source, path, trace, pause):
    arguments = [sys.executable, "-c", SLOW, source.root, path, trace, pause]
    return subprocess.Popen(
        [str(one) for one in arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_conversion_leaves_no_half_cache_and_the_next_succeeds(source, path, tmp_path):
    trace = tmp_path / "trace"
    killed = start_slow(source, path, trace, 1)
    assert killed.stdout.readline() == "block 0\n"
    assert killed.stdout.readline() == "block 1\n"
    killed.kill()
    killed.wait()
    assert not path.exists()
    assert [one.suffix for one in visible(path)] == [".tmp"]
    again = start_slow(source, path, trace, 0)
    assert again.communicate()[0].endswith("1000\n") and again.returncode == 0
    assert visible(path) == [path]


def test_of_two_processes_one_converts_and_no_cache_is_seen_half_written(source, path, tmp_path):
    trace = tmp_path / "trace"
    processes = [start_slow(source, path, trace, 0.02) for _ in range(2)]
    while any(process.poll() is None for process in processes):
        if path.exists():
            with h5py.File(path, locking=False) as file:
                assert len(file["images"]) == len(file["labels"]) == 1000
        time.sleep(0.005)
    assert all(process.communicate()[0].endswith("1000\n") for process in processes)
    assert trace.read_text() == "converting\n"


def test_memory_is_bounded_by_the_largest_file_and_not_by_the_data_set(tmp_path):
    x, labels = random_pixels(2500), list(range(50)) * 50
    for number in range(8):
        write_pickle(tmp_path / f"train_vec_folder_32_32/{number}.pkl", (x, labels), protocol=3)
    write_pickle(tmp_path / "test_vec_folder_32_32/0.pkl", (x, labels), protocol=3)
    tracemalloc.start()
    try:
        faces = data.load(DatasetConfig(name="youtube_faces"), tmp_path, tmp_path / "cache")
        assert len(faces.labels) == 22_500
        # One file, and what NumPy needs to round some of its rows.
        assert tracemalloc.get_traced_memory()[1] < 2.5 * x.nbytes
    finally:
        tracemalloc.stop()
