"""Index a folder of photos, against plain scripts that process one photo after another.

    python -m benchmarks.indexing --data DIR

DIR contains photos at any depth. Each method is a separate process, timed from start to end, in
turns, forward and backward:

* `facehash index`, with OpenVINO (the extra ``fast``) and with OpenCV for SFace;
* a plain script like the samples of OpenCV, which uses all cores within each network;
* the same script with the detector and embedder of this project, with OpenVINO.

Then the time of each step per photo on one core, and the memory of all processes while 10,000
copies of the photos are indexed. The result is written to benchmarks/results/indexing.json.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.pairs import ratio, verdict
from benchmarks.photos.indexing_steps import time_steps
from facehash.files import write_json
from facehash.images.scan import scan
from facehash.library.storage.store import Store

RESULT = Path(__file__).parents[1] / "results" / "indexing.json"
FASTER = 1.6
FLAT = 1.1
"""Allowed growth of the memory after the second tenth of the photos."""
_SAMPLE = 0.5


def commands(data: Path, folder: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the commands to time, by name, each with its environment variables."""
    index = [sys.executable, "-m", "facehash", "index", str(data), "--library"]
    script = [sys.executable, "-m", "benchmarks.photos.sequential_indexing", str(data)]
    return {
        "facehash": ([*index, str(folder / "library")], {"FACEHASH_ENGINE": "openvino"}),
        "facehash, OpenCV": ([*index, str(folder / "library")], {"FACEHASH_ENGINE": "opencv"}),
        "script, OpenCV": ([*script, str(folder / "out.npz")], {}),
        "script, our functions": (
            [*script, str(folder / "out.npz"), "--engine", "facehash"],
            {"FACEHASH_ENGINE": "openvino"},
        ),
    }


def time_command(command: Sequence[str], settings: dict[str, str], folder: Path) -> float:
    """Run a command with an empty folder, and return the seconds it takes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | settings, check=True, capture_output=True)  # noqa: S603
    return time.perf_counter() - start


def compare(data: Path, photos: int, turns: int) -> dict[str, Any]:
    """Time every method in every turn, in alternating order."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "made"
        methods = commands(data, folder)
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        for turn in range(turns):
            for name in list(methods)[:: 1 if turn % 2 == 0 else -1]:
                seconds[name].append(time_command(*methods[name], folder))
                print(f"{name}: {photos / seconds[name][-1]:.1f} photos/s", flush=True)
    rivals = [name for name in methods if name.startswith("script")]
    return {
        "seconds": seconds,
        "photos_a_second": {
            name: round(photos / statistics.median(times), 1) for name, times in seconds.items()
        },
        "times_faster": {
            f"{ours} / {rival}": ratio(seconds, ours, (rival,))
            for ours in methods
            if ours not in rivals
            for rival in rivals
        },
    }


def repeat(data: Path, folder: Path, count: int) -> None:
    """Fill a folder with `count` copies of the photos in `data`, each with new content."""
    folder.mkdir()
    files = sorted(scan(data).files)
    for number in range(count):
        source = files[number % len(files)]
        # Decoders ignore bytes after the end of a picture.
        content = source.read_bytes() + number.to_bytes(4, "little")
        (folder / f"{number:06d}{source.suffix}").write_bytes(content)


def watch_memory(data: Path, count: int) -> dict[str, Any]:
    """Index `count` photos, and sample the memory of all processes together.

    Returns:
        The peak in megabytes during each tenth of the photos: the proportional set size of the
        command and its workers.
    """
    with tempfile.TemporaryDirectory() as place:
        photos, library = Path(place) / "photos", Path(place) / "library"
        repeat(data, photos, count)
        command = [sys.executable, "-m", "facehash", "index", photos, "--library", library]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        tenths: list[list[float]] = [[] for _ in range(10)]
        while process.poll() is None:
            done = _photos_of(library)
            tenths[min(9, 10 * done // count)].append(megabytes_of(process.pid))
            time.sleep(_SAMPLE)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"facehash index ended with {process.returncode}")
    peaks = [round(max(samples), 1) if samples else None for samples in tenths]
    return {
        "photos": count,
        "photos_a_second": round(count / seconds, 1),
        "peak_megabytes_by_tenth": peaks,
        "growth": growth(peaks),
    }


def growth(peaks: Sequence[float | None]) -> float:
    """Return the peak memory after the second tenth, relative to that of the second tenth.

    Raises:
        RuntimeError: There is a tenth without a sample.
    """
    if None in peaks:
        raise RuntimeError("too few photos: no sample of the memory during one of the tenths")
    _, early, *late = (peak for peak in peaks if peak is not None)
    return round(max(late) / early, 3)


def bars(result: dict[str, Any]) -> dict[str, str]:
    """Return which bars a result reaches."""
    flat = result["memory"]["growth"] <= FLAT
    return {
        f"{FASTER} times the plain script": verdict(
            result["times_faster"]["facehash / script, OpenCV"], FASTER
        ),
        f"memory at most {FLAT} times that of the second tenth": "met" if flat else "missed",
    }


def _photos_of(library: Path) -> int:
    if not (library / "library.db").is_file():
        return 0
    try:
        with Store.open(library) as store:
            return int(store.database.value("SELECT count(*) FROM photos"))
    except ValueError:
        return 0


def megabytes_of(pid: int) -> float:
    """Return the proportional set size of a process and its children, in megabytes."""
    total = 0.0
    for process in [pid, *_children(pid)]:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def _children(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    except OSError:
        pass
    return found


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.indexing", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--turns", type=int, default=5, help="turns per method (default 5)")
    parser.add_argument("--repeat", type=int, default=10_000, help="photos to index for the memory")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.turns < 2:
        parser.error("quartiles need at least 2 turns")
    photos = len(scan(given.data).files)
    result: dict[str, Any] = {
        "what": "index a folder of photos, from the start of a process to its end",
        "data": given.data.name,
        "photos": photos,
        "machine": describe_machine("opencv-python-headless", "openvino", "numpy"),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        **compare(given.data, photos, given.turns),
        "milliseconds_a_photo": time_steps(given.data),
        "memory": watch_memory(given.data, given.repeat),
    }
    result["bars"] = bars(result)
    write_json(given.output, result)
    for key in ("photos_a_second", "times_faster", "milliseconds_a_photo", "memory", "bars"):
        print(key, result[key])
