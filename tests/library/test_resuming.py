"""A run that is killed, or stopped by Ctrl-C, and the one after it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.library.conftest import draw, save

SLOW = """
import sys, time
from facehash.command_line import make_app, run
from facehash.commands import indexing, keeping
from facehash.library import batches, makers
from tests.library import fakes

batches.PHOTOS = 4
embed = fakes.Projection.embed

def slowly(self, faces):
    print("batch", flush=True)
    time.sleep(0.2)
    return embed(self, faces)

fakes.Projection.embed = slowly
for name in ("make_detector", "make_embedder", "crop_face"):
    setattr(makers, name, getattr(fakes, name))
if __name__ == "__main__":
    app = make_app("A slow index.")
    indexing.add_to(app)
    keeping.add_to(app)
    run(app, "facehash")
"""


@pytest.fixture
def start(tmp_path, directory):
    """Start to index 24 photos in another process, which says when it begins a batch of four."""
    for seed in range(24):
        save(tmp_path / "many" / f"{seed}.png", draw(seed))
    script = tmp_path / "slow.py"
    script.write_text(SLOW)

    def start(workers, after):
        words = ["--detector", "halves", "--embedder", "cosine:12", "--workers", str(workers)]
        process = subprocess.Popen(
            [sys.executable, script, "index", tmp_path / "many", "--library", directory, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for _ in range(after):
            assert process.stdout.readline() == "batch\n"
        time.sleep(0.05)
        return process

    return start


@pytest.mark.parametrize(("after", "workers"), [(1, 1), (3, 1), (2, 2)])
def test_a_killed_run_is_resumed_with_at_most_a_batch_lost(
    index, ask, tmp_path, start, after, workers
):
    process = start(workers, after)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    [(kept,)] = ask("SELECT count(*) FROM faces")
    assert kept == 4 * (after - 1)
    report = index(tmp_path / "many", embedder="cosine:12")
    assert (report.unchanged, report.photos) == (kept, 24 - kept)
    assert ask("SELECT count(*), count(embedding) FROM faces") == [(24, 24)]
    assert ask("PRAGMA integrity_check") == [("ok",)]
    # No worker outlives the run that was killed.
    deadline = time.monotonic() + 10
    while workers > 1 and _alive(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_keeps_what_was_stored_and_says_how_to_go_on(index, ask, tmp_path, start):
    process = start(2, 3)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.startswith("facehash: interrupted; 8 new photos are in ")
    assert told.endswith("and the same command goes on from there\n") and told.count("\n") == 1
    assert ask("SELECT count(*) FROM faces") == [(8,)]
    assert index(tmp_path / "many").photos == 16


def _alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
