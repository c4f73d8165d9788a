"""The example that remakes LSH tables on Redis, with the pictures of the 40 ORL people."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from data.orl import find_orl
from tests.conftest import ROOT

pytestmark = pytest.mark.engines

EXAMPLE = ROOT / "examples" / "lsh_redis.py"


def test_it_is_short():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 40


def test_orl_faces_are_found_in_their_buckets(redis_server, tmp_path):
    pictures, labels = [], []
    for person in range(1, 41):
        for number in range(1, 11):
            with Image.open(find_orl() / f"s{person}" / f"{number}.pgm") as picture:
                pictures.append(np.asarray(picture.resize((16, 16)), np.float64).ravel())
            labels.append(f"person {person}")
    vectors = np.array(pictures) - np.mean(pictures, axis=0)
    np.savez(tmp_path / "orl.npz", vectors=vectors, labels=labels)
    url = f"redis://127.0.0.1:{redis_server.port}/0?tables=12&bits=8&probes=8&candidates=120"
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    matches = 0
    for row in (0, 123, 399):
        done = subprocess.run(
            [sys.executable, EXAMPLE, "orl.npz", str(row), url],
            cwd=tmp_path,
            env=os.environ
            | {"FACEHASH_ENGINE_PASSWORD": redis_server.password, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        first, *lines = done.stdout.splitlines()
        assert first.split(" on ")[0] in [f"{count} of 400 faces" for count in range(5, 121)]
        exact = np.maximum(0, 1 - unit @ unit[row])
        nearest = [f"{exact[i]:.3f} {labels[i]}" for i in np.argsort(exact, kind="stable")[:5]]
        assert lines[0] == f"0.000 {labels[row]}"
        matches += len(set(lines) & set(nearest))
    assert matches >= 13
