"""What large libraries cost: building, searching, adding, naming, forgetting, memory and disk.

    python -m benchmarks.scale --vectors sface_train.npz --faces 100000 500000 1000000
    python -m benchmarks.scale --vectors sface_train.npz --faces 100000 --engines postgresql://...

The people are synthetic: their means and faces are drawn with the covariances between and within
people of real vectors (an .npz with ``vectors`` and ``labels``), and they have as many faces as the
people there. There are no photos: nothing is detected or embedded, and everything else is done as
by the commands. Each library has the 128 float values and a learned code of 64 bits of every face.
It is in the page cache. Each step runs in a process of its own, whose peak memory is noted.

An engine gets the vectors, then the codes. Give its password in FACEHASH_ENGINE_PASSWORD. The
result is written to benchmarks/results/scale.json, into which a run puts the sizes that it has
measured, with a chart beside it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, peak_megabytes
from benchmarks.scale.engines import measure_engine
from benchmarks.scale.library import STEPS
from benchmarks.scale.plot import write_scale
from facehash.files import write_json

RESULT = Path(__file__).parents[1] / "results" / "scale.json"


def run_step(step: str, directory: Path, vectors: Path, faces: int) -> dict[str, Any]:
    """Run a step in a process of its own."""
    words = [step, "--vectors", str(vectors), "--directory", str(directory), "--faces", str(faces)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--step", *words],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure libraries of the given sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True, help=".npz with vectors and labels")
    parser.add_argument("--faces", type=int, nargs="+", default=[10**5])
    parser.add_argument("--engines", nargs="*", help="measure only these, such as redis://HOST")
    parser.add_argument("--directory", type=Path, help="where libraries are made and kept")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--only", nargs="*", help="steps to measure again in a kept library")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        found = STEPS[options.step](options.directory, options.vectors, options.faces[0])
        print(json.dumps({**found, "peak_mb": round(peak_megabytes())}))
        return
    result: dict[str, Any] = {"libraries": {}}
    if options.output.exists():
        result = json.loads(options.output.read_text(encoding="utf-8"))
    result["machine"] = describe_machine("numpy", "faiss-cpu", "numba")
    result["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    with tempfile.TemporaryDirectory() as folder:
        for faces in options.faces:
            directory = (options.directory or Path(folder)) / f"library-{faces}"
            directory.parent.mkdir(parents=True, exist_ok=True)
            library = result["libraries"].setdefault(str(faces), {"steps": {}, "engines": {}})
            for step in STEPS:
                wanted = step == "build" and not directory.exists()
                if options.only is not None:
                    wanted = wanted or step in options.only
                elif options.engines is None:
                    wanted = wanted or not (step == "build" and directory.exists())
                if wanted:
                    found = run_step(step, directory, options.vectors, faces)
                    found["load_of_the_machine"] = round(os.getloadavg()[0], 1)
                    library["steps"][step] = found
                    print(f"{faces:,} faces, {step}: {found}", flush=True)
                    write_json(options.output, result)
            for url in options.engines or ():
                for kind, found in measure_engine(url, directory, options.vectors):
                    library["engines"].setdefault(kind, {}).update(found)
                    print(f"{faces:,} faces, {kind}: {found}", flush=True)
                    write_json(options.output, result)
    write_scale(result, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
