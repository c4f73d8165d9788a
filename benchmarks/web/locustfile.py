"""What visitors do in the benchmark: Locust runs this file, see `benchmarks.web.__main__`."""

import os
import random
from pathlib import Path

from locust import HttpUser, task

FACES = int(os.environ.get("FACEHASH_BENCH_FACES", "1000"))
RATE = float(os.environ.get("FACEHASH_BENCH_RATE", "1"))
KIND = os.environ.get("FACEHASH_BENCH_KIND", "search")
PICTURE = os.environ.get("FACEHASH_BENCH_PICTURE", "")


class Visitor(HttpUser):
    """Searches by a face of the library or by a picture, or opens the first page."""

    def wait_time(self) -> float:
        """Return seconds to the next visit: people come independently, as in a Poisson process."""
        return random.expovariate(RATE)

    def on_start(self) -> None:
        """Get the token that an upload needs."""
        answer = self.client.get("/api/v1/session", name="session")
        self.client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        self.picture = Path(PICTURE).read_bytes() if PICTURE else b""

    @task
    def visit(self) -> None:
        """Do what is measured."""
        if KIND == "search":
            face = random.randint(1, FACES)  # noqa: S311
            self.client.get(f"/api/v1/faces/{face}/similar?k=10", name="search by face id")
        elif KIND == "first page":
            self.client.get("/", name="first page")
        else:
            with self.client.rename_request("upload and search"):
                self.client.post("/search", files={"picture": ("face.jpg", self.picture)})
