"""Measure the page with a library of 100,000 synthetic faces.

    pip install 'facehash[web,web-load]'
    python -m benchmarks.web --weights-dir DIR --output benchmarks/results/web.json

A server process serves the library; Locust, in another process on the same machine, visits it:
searches by a face of the library, 20 per second at random moments; uploads of a picture with one
face, one at a time, each with the page of its results; and the first page. Then 10,000 searches
follow, before and after which the memory of the server is read, and searches while
``facehash index`` reads photos.
"""

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import requests
from PIL import Image

from benchmarks.machine import describe_machine
from data.orl import find_orl
from facehash.detectors.registry import make_detector
from facehash.embedders.registry import make_embedder
from facehash.files import FileState
from facehash.library.derived.arrays import spaces, write_index
from facehash.library.ingest.read import encode_jpeg
from facehash.library.people.edit import name_faces
from facehash.library.storage.folder import write_lock
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.settings import Settings, write_settings
from facehash.library.storage.store import Store

_PER_PHOTO, _PEOPLE, _PER_PERSON = 2, 200, 50
_CHUNK = 5000


def make_library(directory: Path, faces: int, weights: Path, seed: int = 0) -> None:
    """Make a library of random vectors, two faces per photo; 200 people have 50 faces each."""
    detector, embedder = make_detector("yunet", weights), make_embedder("sface", weights)
    settings = Settings(
        "yunet", detector.identity, "sface", embedder.identity, embedder.metric,
        embedder.dimension, embedder.crop, embedder.side,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    jpeg = encode_jpeg(np.asarray(small.resize((112, 112))))
    with Store.create(directory) as store, write_lock(directory, "benchmark"):
        write_settings(store.database, settings)
        for start in range(0, faces, _CHUNK):
            vectors = rng.normal(size=(_CHUNK, embedder.dimension)).astype(np.float32)
            found = [
                NewFace((10.0, 10.0, 90.0, 90.0), None, 0.9, 0.8, jpeg, row, None)
                for row in vectors
            ]
            store.add(
                NewPhoto(
                    Path(f"/photos/{start + i}.jpg"), FileState(0, 10**18 + start + i),
                    (start + i).to_bytes(32, "big"), (200, 200),
                    faces=tuple(found[i : i + _PER_PHOTO]),
                )
                for i in range(0, _CHUNK, _PER_PHOTO)
            )  # fmt: skip
        for person in range(min(_PEOPLE, faces // _PER_PERSON)):
            first = person * _PER_PERSON
            name_faces(store, f"Person {person}", range(first + 1, first + 1 + _PER_PERSON))
        write_index(store, spaces(settings, False))


class Server:
    """``facehash serve`` in a process of its own."""

    def __init__(self, library: Path, weights: Path) -> None:
        code = (
            "from pathlib import Path; import sys; from facehash.pipeline import pipelines; "
            "from facehash.web.options import ServeOptions; "
            "from facehash.web.server import serve; "
            "serve(ServeOptions(Path(sys.argv[1]), make_pipeline=pipelines(Path(sys.argv[2])), "
            "requests_per_second=0, uploads_per_second=0), 0)"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(library), str(weights)],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline() if self.process.stdout else ""
        self.address = re.findall(r"http://\S+", line)[0]

    def megabytes(self) -> float:
        """Return the memory that the process has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def close(self) -> None:
        """End the process."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


def visit(
    server: Server, kind: str, users: int, rate: float, seconds: float, faces: int, picture: Path
) -> dict[str, Any]:
    """Let Locust visit a server; return the number of requests, failures and milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "FACEHASH_BENCH_KIND": kind,
            "FACEHASH_BENCH_RATE": str(rate),
            "FACEHASH_BENCH_FACES": str(faces),
            "FACEHASH_BENCH_PICTURE": str(picture),
        }
        done = subprocess.run(
            # The first visits of all users, at the same moment, do not count.
            [sys.executable, "-m", "locust", "--headless", "--only-summary", "--reset-stats",
             "--users", str(users),
             "--spawn-rate", str(users), "--run-time", f"{seconds:.0f}s", "--host",
             server.address.rstrip("/"), "--csv", f"{folder}/out", "-f",
             str(Path(__file__).with_name("locustfile.py"))],
            env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if not Path(folder, "out_stats.csv").exists():
            raise SystemExit(f"Locust measured nothing:\n{done.stderr[-2000:]}")
        with open(f"{folder}/out_stats.csv", encoding="utf-8") as file:
            rows = {row["Name"]: row for row in csv.DictReader(file)}
    row = next(row for name, row in rows.items() if name not in ("session", "Aggregated"))
    return {
        "requests": int(row["Request Count"]),
        "failures": int(row["Failure Count"]),
        "per_second": round(float(row["Requests/s"]), 1),
        "milliseconds": {name: float(row[name]) for name in ("50%", "95%", "99%")},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=10_000, help="for the memory")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {"faces": given.faces}
    with tempfile.TemporaryDirectory() as folder:
        library, picture = Path(folder) / "lib", Path(folder) / "face.jpg"
        make_library(library, given.faces, given.weights_dir)
        face = Image.open(find_orl() / "s19" / "10.pgm").resize((736, 896)).convert("RGB")
        face.save(picture, quality=90)

        def run(kind: str, users: int, rate: float, seconds: float = given.seconds) -> Any:
            return visit(server, kind, users, rate, seconds, given.faces, picture)

        server = Server(library, given.weights_dir)
        try:
            _warm_up(server, picture)
            results["search by face id, 20 per second"] = run("search", 20, 1)
            results["upload and search, one at a time"] = run("upload", 1, 100)
            results["first page, one at a time"] = run("first page", 1, 100, given.seconds / 3)
            page = requests.get(server.address, timeout=60).content
            links = re.findall(rb'(?:src|href)="(/(?:static|vendor)/[^"#]+)', page)
            sizes = [len(page)]
            for link in {*links, b"/static/icons.svg"}:
                answer = requests.get(urljoin(server.address, link.decode()), timeout=60)
                sizes.append(len(answer.content))
            results["first page, kilobytes with style and scripts"] = round(sum(sizes) / 1000, 1)
            memory, count = [server.megabytes()], 0
            while count < given.requests:
                count += run("search", 4, 1000, 20)["requests"]
                memory.append(server.megabytes())
            results["memory"] = {"requests": count, "megabytes": [round(one, 1) for one in memory]}
            results["search by face id, while an index run goes on"] = _while_indexing(
                library, Path(folder) / "new", given.weights_dir, run
            )
        finally:
            server.close()
    machine = describe_machine("fastapi", "uvicorn", "locust")
    text = json.dumps({"machine": machine, "results": results}, indent=1)
    given.output.write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _warm_up(server: Server, picture: Path) -> None:
    """Search once with a picture, which loads the networks."""
    with requests.Session() as session:
        answer = session.get(urljoin(server.address, "/api/v1/session"), timeout=60)
        session.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        address = urljoin(server.address, "/search")
        with picture.open("rb") as file:
            answer = session.post(address, files={"picture": file}, timeout=120)
        answer.raise_for_status()


def _while_indexing(library: Path, photos: Path, weights: Path, run: Any) -> dict[str, Any]:
    photos.mkdir()
    orl = find_orl()
    for person in range(1, 41):
        for number in range(1, 11):
            face = Image.open(orl / f"s{person}" / f"{number}.pgm")
            for width in (276, 322, 368):
                scaled = face.resize((width, width * 56 // 46))
                scaled.save(photos / f"{person}-{number}-{width}.png")
    command = [sys.executable, "-m", "facehash", "index", photos, "--library", library]
    index = subprocess.Popen(
        [str(word) for word in [*command, "--weights-dir", weights, "--workers", "1"]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(8)  # until it reads photos
    found: dict[str, Any] = run("search", 5, 1, 20)
    found["index_run_was_still_going_on"] = index.poll() is None
    index.wait(timeout=900)
    return found


if __name__ == "__main__":
    main()
