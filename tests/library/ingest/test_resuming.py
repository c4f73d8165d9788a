"""Runs that are killed or interrupted, and the runs that resume them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from facehash.library.upkeep.check import check
from tests.conftest import ROOT
from tests.library.conftest import draw, save, whole

# Sleeps before one call of one function, so that the test can kill it there.
STOPPING = """
import os, time
from facehash import pipeline
from facehash.library.ingest import batch, update
from tests.library import fakes

batch.PHOTOS = 4
PLACES = {"embed": (fakes.Projection, "embed"), "index": (update, "refresh_index")}
place, _, calls = os.environ["STOP_AT"].partition(":")
calls = int(calls)
owner, name = PLACES[place]
function = getattr(owner, name)

def stopping(*arguments):
    global calls
    calls -= 1
    if not calls:
        print("there", flush=True)
        time.sleep(600)
    return function(*arguments)

setattr(owner, name, stopping)
for name in ("make_detector", "make_embedder", "crop_face"):
    setattr(pipeline, name, getattr(fakes, name))
if __name__ == "__main__":
    from facehash import cli

    cli.main()
"""


@pytest.fixture
def folder(tmp_path):
    for seed in range(24):
        save(tmp_path / "many" / f"{seed:02}.png", draw(seed))
    return tmp_path / "many"


@pytest.fixture
def start(tmp_path, folder, directory):
    """Index 24 photos in another process, in batches of four, until it reaches some place."""
    script = tmp_path / "stopping.py"
    script.write_text(STOPPING)
    started = []

    def start(place, workers):
        words = ["--detector", "halves", "--embedder", "cosine:12", "--workers", str(workers)]
        process = subprocess.Popen(
            [sys.executable, script, "index", folder, "--library", directory, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT), "STOP_AT": place},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == "there\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


# tests/library/ingest/test_killed.py kills a run at many more moments, without workers.
@pytest.mark.parametrize(("place", "workers", "kept"), [("embed:3", 2, 8), ("index:1", 1, 24)])
def test_a_killed_run_loses_at_most_a_batch_and_is_resumed(
    index, ask, folder, directory, start, tmp_path, place, workers, kept
):
    process = start(place, workers)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert ask("SELECT count(*), count(embedding) FROM faces") == [(kept, kept)]
    report = index(folder, embedder="cosine:12")
    assert (report.unchanged, report.photos) == (kept, 24 - kept)
    assert check(directory) == []
    # The library equals that of an uninterrupted run.
    index(folder, tmp_path / "whole", embedder="cosine:12")
    assert whole(directory)[0]["faces"] == whole(tmp_path / "whole")[0]["faces"]
    # No worker outlives the killed run.
    deadline = time.monotonic() + 20
    while is_alive(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_keeps_stored_photos_and_names_the_command_to_continue(
    number, code, index, ask, folder, start
):
    process = start("embed:3", 2)
    os.killpg(process.pid, number)
    _, error = process.communicate(timeout=300)
    assert process.returncode == code
    assert error.startswith("facehash: interrupted; 8 new photos are in ")
    assert "; continue with: facehash index " in error and error.count("\n") == 1
    assert ask("SELECT count(*) FROM faces") == [(8,)]
    assert index(folder).photos == 16


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
