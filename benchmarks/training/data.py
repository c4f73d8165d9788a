"""Load FaceScrub at full size, and compare with the usual code.

    python -m benchmarks.data

The usual code unpickles every file, converts to float32 and concatenates. The files are generated
in the layout of the authors, with random pixels. They need 1.3 GB of disk during the run, and are
in the system's file cache when read. Each measurement runs in its own process and is repeated. The
result has the fastest time, imports included, and the highest peak memory, mapped files included.
"""

import argparse
import json
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine, peak_megabytes
from facehash.files import write_json

RESULT = Path(__file__).parents[1] / "results" / "data.json"
ROWS = {"train_folder_facescrub": 67_177, "test_folder_facescrub": 2_650}
PEOPLE = 530
ROWS_A_FILE = 6_720
BATCH, BATCHES = 256, 50
REPEATS = 3


def write_python_2_pickle(path: Path, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Write ``(x, y)`` byte for byte as Python 2 and NumPy 1 with protocol 2."""
    with path.open("wb") as file:
        file.write(b"\x80\x02")
        for array in (x, y):
            shape = b"".join(b"J" + struct.pack("<i", length) for length in array.shape)
            kind, none = array.dtype.str[1:].encode(), b"J" + struct.pack("<i", -1)
            file.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n")
            file.write(b"K\x00\x85U\x01b\x87R(K\x01(" + shape + b"tcnumpy\ndtype\nU\x02" + kind)
            file.write(b"K\x00K\x01\x87R(K\x03U\x01<NNN" + none + none + b"K\x00tb\x89")
            file.write(b"T" + struct.pack("<i", array.nbytes) + array.tobytes() + b"tb")
        file.write(b"\x86.")


def generate(root: Path) -> None:
    """Write the folders of FaceScrub with random pixels."""
    rng = np.random.default_rng(0)
    for folder, rows in ROWS.items():
        (root / folder).mkdir()
        for number, start in enumerate(range(0, rows, ROWS_A_FILE)):
            count = min(ROWS_A_FILE, rows - start)
            x = rng.integers(0, 256, (count, 3072), np.uint8).astype(np.float32)
            y = np.arange(start, start + count) % PEOPLE
            write_python_2_pickle(root / folder / f"{number:02d}.pkl", x, y)


def load_ours(root: Path) -> None:
    """Convert on the first call, open the cache on the next."""
    import data
    from facehash.config import DatasetConfig

    faces = data.load(DatasetConfig(name="facescrub"), root, root / "cache")
    if faces.counts() != {"identities": 530, "train": 67_177, "gallery": 67_177, "query": 2_650}:
        raise RuntimeError(f"wrong counts: {faces.counts()}")


def load_ours_into_memory(root: Path) -> None:
    """Open the cache and read every image, as uint8."""
    from data.hdf5 import read_faces

    (path,) = (root / "cache").glob("*.h5")
    np.array(read_faces(path).images)


def load_rival(root: Path) -> None:
    """Unpickle every file and concatenate, as most repositories do."""
    for folder in ROWS:
        parts = []
        for path in sorted((root / folder).iterdir()):
            with path.open("rb") as file:
                x, _ = pickle.load(file, encoding="latin1")  # noqa: S301  (written above)
            parts.append(x.astype("float32"))
        np.concatenate(parts).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


TASKS: dict[str, Callable[[Path], None]] = {
    "ours_convert": load_ours,
    "ours_open": load_ours,
    "ours_read_all": load_ours_into_memory,
    "rival_load": load_rival,
}


def measure(task: str, root: Path) -> dict[str, float]:
    """Run one task in new processes; return the fastest time and the highest peak memory."""
    command = [sys.executable, "-m", "benchmarks.data", task, str(root)]
    results = []
    for _ in range(REPEATS):
        if task == "ours_convert":
            shutil.rmtree(root / "cache", ignore_errors=True)
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append(json.loads(output))
    return {
        "seconds": min(result["seconds"] for result in results),
        "peak_mb": max(result["peak_mb"] for result in results),
    }


def run_task(task: str, root: Path) -> None:
    """Do one task and print its time, without the start of Python, and its memory."""
    start = time.perf_counter()
    TASKS[task](root)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": round(seconds, 3), "peak_mb": round(peak_megabytes(), 1)}))


def compare_layouts(root: Path) -> dict[str, float]:
    """Return the milliseconds to read a batch of random rows, by file layout."""
    from data.hdf5 import map_images, read_faces
    from facehash.dataset import FaceDataset

    (cache,) = (root / "cache").glob("*.h5")
    faces = read_faces(cache)
    rng = np.random.default_rng(1)
    batches = [rng.choice(len(faces.labels), BATCH, replace=False) for _ in range(BATCHES)]
    times = {}
    for name, options in {
        "one_piece_mapped (the cache)": {},
        "one_piece": {},
        "chunks_of_64": {"chunks": (64, 32, 32, 3)},
        "chunks_of_64_lzf": {"chunks": (64, 32, 32, 3), "compression": "lzf"},
    }.items():
        path = root / "layout.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=faces.images, **options)
        with h5py.File(path) as file:
            stored = file["images"]
            images = map_images(path, stored) if "mapped" in name else stored
            rows = np.arange(1)
            view = FaceDataset("", images, faces.labels, faces.identities, rows, rows, rows, "seen")
            start = time.perf_counter()
            for batch in batches:
                view.read(batch)
            times[name] = round((time.perf_counter() - start) / BATCHES * 1000, 3)
            if not name.startswith("one_piece_mapped"):
                continue
            start = time.perf_counter()
            for batch in batches[:10]:
                stored[np.sort(batch)]
            times["h5py list of rows"] = round((time.perf_counter() - start) / 10 * 1000, 3)
    return times


def main() -> None:
    """Measure, print and store; with a task and a folder, do that task alone."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("task", nargs="?", choices=TASKS, help="measure only this task")
    parser.add_argument("folder", nargs="?", type=Path, help="where its files lie")
    given = parser.parse_args()
    if given.task:
        run_task(given.task, given.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root)
        measured = {task: measure(task, root) for task in TASKS}
        layouts = compare_layouts(root)
    ours, rival = measured["ours_read_all"], measured["rival_load"]
    result = {
        "images": sum(ROWS.values()),
        "files": sum(-(-rows // ROWS_A_FILE) for rows in ROWS.values()),
        "machine": describe_machine("numpy", "h5py"),
        "tasks": measured,
        "milliseconds_a_batch_of_256_random_rows": layouts,
        "ratio_seconds_rival_to_ours_once_converted": round(rival["seconds"] / ours["seconds"], 1),
        "ratio_peak_memory_rival_to_ours_converting": round(
            rival["peak_mb"] / measured["ours_convert"]["peak_mb"], 1
        ),
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))
