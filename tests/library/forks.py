"""Commands in processes that can be killed, forked from one that has imported everything.

Only that server process forks, never pytest itself: a fork of pytest would inherit locks of its
threads that nobody releases. A batch is four photos, so that a run has many batches.
"""

import contextlib
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import time
import traceback

from facehash import pipeline
from facehash.cli import app
from facehash.command_line import run

# Imported by the commands when they run.
from facehash.library.ingest import batch, update
from facehash.library.people import forget, names  # noqa: F401
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


class Command:
    """A command in a process of its own.

    Args:
        output: A file for its stderr.
        words: The command line.
        largest_file: The size in bytes that no file may exceed, to simulate a full disk.
        stops: Stop forever where faces are embedded; the constructor returns then.
        states: A file to which the faces are appended after each transaction.
        dies_at: The number of the database statement before which it kills itself by SIGKILL.
    """

    def __init__(self, output, *words, largest_file=None, stops=False, states=None, dies_at=None):
        """Start it, and return when it starts to read photos or opens its library."""
        self._output = output
        ready, begun = _context.Pipe(duplex=False)
        given = (begun, output, [str(word) for word in words], largest_file, stops, states, dies_at)
        self.process = _context.Process(target=_run, args=given)
        self.process.start()
        begun.close()
        with contextlib.suppress(EOFError):  # it has already ended
            ready.recv()
        ready.close()

    def end(self):
        """Wait, and return the exit code and its stderr."""
        self.process.join(60)
        return self.process.exitcode, self._output.read_text("utf-8")

    def kill(self, after=0):
        """Kill it by SIGKILL after some seconds; return whether it was still running."""
        self.process.join(after)
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL


class Reader:
    """A process that searches a library again and again.

    Args:
        directory: The library.
        vector: float32 (1, dimension), the query.
        options: Arguments of `open_library`; with ``once=False`` each search opens it anew.
    """

    def __init__(self, directory, vector, **options):
        """Start it, and return after its first search."""
        self._results, theirs = _context.Pipe()
        self.process = _context.Process(target=_search, args=(theirs, directory, vector, options))
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


def _run(begun, output, words, largest_file, stops, states, dies_at):
    with output.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    with open(os.devnull, "wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
    batch.PHOTOS = 4
    for name in ("make_detector", "make_embedder", "crop_face"):
        setattr(pipeline, name, getattr(fakes, name))
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    def reporting(function):
        def reported(*arguments, **options):
            if not begun.closed:
                begun.send(None)
                begun.close()
                if stops:
                    time.sleep(600)
            return function(*arguments, **options)

        return reported

    if stops:
        fakes.Projection.embed = reporting(fakes.Projection.embed)
    else:
        update.scan = reporting(update.scan)
        Store.open = reporting(Store.open)
    if states is not None:
        Database.transaction = _recording(Database.transaction, states)
    if dies_at is not None:
        Database._translated_errors = _dying(Database._translated_errors, dies_at)
    run(app, "facehash", words)


def _recording(transaction, states):
    @contextlib.contextmanager
    def recorded(self):
        with transaction(self):
            yield
        with states.open("ab") as file:
            pickle.dump(self.rows(STATE), file)

    return recorded


def _dying(method, left):
    def counted(self):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self)

    return counted


def _search(pipe, directory, vector, options):
    count, results, error = 0, set(), None
    once = options.pop("once")
    faces = Store.faces

    def late(*arguments):
        time.sleep(0.01)
        return faces(*arguments)

    # Gives a writer time between the search in the index and the look-up of the faces.
    Store.faces = late
    try:
        with contextlib.ExitStack() as stack:
            library = None
            while not pipe.poll():
                if library is None or not once:
                    stack.close()
                    library = open_library(directory, make_pipeline=fakes.make_pipeline, **options)
                    stack.enter_context(library)
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
