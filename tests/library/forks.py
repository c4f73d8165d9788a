"""Commands in processes that can be killed, forked from one that has imported everything.

Only that server process forks, never pytest itself: a fork of pytest would inherit locks of its
threads that nobody releases. A batch is four photos, so that a run has many batches.
"""

import contextlib
import itertools
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import time
import traceback
import types

from facehash import pipeline
from facehash.cli import app
from facehash.command_line import run

# Imported by the commands when they run.
from facehash.library.ingest import batch, update  # noqa: F401
from facehash.library.people import edit, forget, journal, names, parked  # noqa: F401
from facehash.library.people import people as library_people  # noqa: F401
from facehash.library.query.library import open_library
from facehash.library.storage.database import Database
from facehash.library.storage.store import Store
from facehash.library.upkeep import check, stats  # noqa: F401
from tests.library import fakes

CHOICE = ("--detector", "halves", "--embedder", "cosine:12", "--workers", "1")
STATE = "SELECT faces.id, embedding, path FROM faces JOIN paths USING (photo_id)"

_context = multiprocessing.get_context("forkserver")
# Otherwise every fork would import pytest's main module and Typer's dependencies again.
_context.set_forkserver_preload(["pytest", "pydantic.fields", "pydantic.types", __name__])
_numbers = itertools.count()


class Command:
    """A command about a library in a process of its own.

    Args:
        library: Its directory; the stderr of the command is written to a file beside it.
        words: The command line.
        largest_file: The size in bytes that no file may exceed, to simulate a full disk.
        states: A file to which the faces are appended after each transaction.
        dies_at: The number of the moment at which it kills itself by SIGKILL; the moments are
            before each database statement and before each file gets its name.
    """

    def __init__(self, library, *words, largest_file=None, states=None, dies_at=None):
        self._output = library.with_name(f"{library.name}-{next(_numbers)}.stderr")
        line = [str(word) for word in (*words, "--library", library)]
        given = (self._output, line, largest_file, states, dies_at)
        self.process = _context.Process(target=_run, args=given)
        self.process.start()

    def end(self):
        """Wait, and return the exit code, negative after a signal, and the stderr."""
        self.process.join(60)
        return self.process.exitcode, self._output.read_text("utf-8")


class Reader:
    """A process that searches a library again and again.

    Args:
        directory: The library.
        vector: float32 (1, dimension), the query.
        by: What to compare, ``"embedding"`` or ``"code"``.
    """

    def __init__(self, directory, vector, by):
        """Start it, and return after its first search."""
        self._results, theirs = _context.Pipe()
        self.process = _context.Process(target=_search, args=(theirs, directory, vector, by))
        self.process.start()
        theirs.close()
        self._results.recv()

    def end(self):
        """Stop it; return the number of searches, the distinct results and the error, if any.

        A result is (id, distance, path) of each hit, in order.
        """
        with contextlib.suppress(BrokenPipeError):  # an error has ended it
            self._results.send(None)
        result = self._results.recv()
        self.process.join(60)
        return result


def _run(output, words, largest_file, states, dies_at):
    for name, stream in ((output, sys.stderr), (os.devnull, sys.stdout)):
        with open(name, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    batch.PHOTOS = 4
    for name in ("make_detector", "make_embedder", "crop_face"):
        setattr(pipeline, name, getattr(fakes, name))
    # The same commands make the same library, whenever they run.
    journal.time = types.SimpleNamespace(time=lambda: 1_600_000_000)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if states is not None:
        Database.transaction = _recording(Database.transaction, states)
    if dies_at is not None:
        moments = itertools.count(1)
        for owner, name in ((Database, "_translated_errors"), (os, "replace")):
            setattr(owner, name, _dying(getattr(owner, name), moments, dies_at))
    run(app, "facehash", words)


def _recording(transaction, states):
    @contextlib.contextmanager
    def recorded(self):
        with transaction(self):
            yield
        with states.open("ab") as file:
            pickle.dump(self.rows(STATE), file)

    return recorded


def _dying(function, moments, last):
    def counted(*arguments):
        if next(moments) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return counted


def _search(pipe, directory, vector, by):
    count, results, error = 0, set(), None
    faces = Store.faces

    def late(*arguments):
        time.sleep(0.01)
        return faces(*arguments)

    # Gives a writer time between the search in the index and the look-up of the faces.
    Store.faces = late
    try:
        with open_library(directory, make_pipeline=fakes.make_pipeline, by=by) as library:
            while not pipe.poll():
                [result] = library.search_vectors(vector, k=1000)
                results.add(tuple((hit.face_id, hit.distance, hit.path) for hit in result.hits))
                count += 1
                if count == 1:
                    pipe.send(None)
    except Exception:
        error = traceback.format_exc()
        if not count:
            pipe.send(None)
    pipe.send((count, results, error))
