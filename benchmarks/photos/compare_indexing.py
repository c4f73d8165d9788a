"""Compare the time of ``facehash index`` between two checkouts of this project.

    python -m benchmarks.photos.compare_indexing --data DIR --old CHECKOUT

Photos of DIR, evenly spaced, are indexed by both in turns, in alternating order, each time in new
processes and into a new library. The wall time is what a user waits for; the processor time of all
processes hardly depends on what else runs. The result is written to
benchmarks/results/compare_indexing.json.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.pairs import Turns, ratio, verdict
from facehash.files import write_json
from facehash.images.scan import scan

RESULT = Path(__file__).parents[1] / "results" / "compare_indexing.json"
SLOWER = 1.05
"""Allowed time of the new checkout, relative to the old one."""


def index(checkout: Path, photos: Path, workers: int) -> tuple[float, float]:
    """Index photos into a new library, and return the wall and processor time in seconds."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "facehash", "index", str(photos)]
        command += ["--library", str(Path(place) / "library"), "--workers", str(workers)]
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        before, start = _children(), time.perf_counter()
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - start, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(checkouts: dict[str, Path], photos: Path, turns: int, workers: int) -> dict[str, Any]:
    """Index with each checkout in every turn, in alternating order."""
    seconds: dict[str, Turns] = {clock: {"old": [], "new": []} for clock in ("wall", "processor")}
    for turn in range(turns):
        for name in list(checkouts)[:: 1 if turn % 2 == 0 else -1]:
            wall, processor = index(checkouts[name], photos, workers)
            seconds["wall"][name].append(wall)
            seconds["processor"][name].append(processor)
            print(f"{name}: {wall:.1f} s, {processor:.1f} s of processor time", flush=True)
    return {
        "seconds": seconds,
        "new / old": {clock: ratio(seconds[clock], "old", ("new",)) for clock in seconds},
    }


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photos.compare_indexing", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--old", type=Path, required=True, help="checkout to compare with")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.turns < 2:
        parser.error("quartiles need at least 2 turns")
    files = sorted(scan(given.data).files)
    files = files[:: max(1, len(files) // given.photos)][: given.photos]
    with tempfile.TemporaryDirectory() as place:
        for number, path in enumerate(files):
            shutil.copy(path, Path(place) / f"{number:05d}{path.suffix}")
        checkouts = {"old": given.old.absolute(), "new": Path(__file__).parents[2]}
        result = {
            "data": given.data.name,
            "photos": len(files),
            "workers": given.workers,
            "machine": describe_machine("opencv-python-headless", "openvino", "numpy"),
            "load_of_the_machine": round(os.getloadavg()[0], 1),
            **compare(checkouts, Path(place), given.turns, given.workers),
        }
    times = result["new / old"]["processor"]
    result["bar"] = f"processor time at most {SLOWER}: {verdict(times, SLOWER, most=True)}"
    write_json(given.output, result)
    print(result["new / old"], result["bar"])


if __name__ == "__main__":
    main()
