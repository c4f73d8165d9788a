"""Commands in processes that are forked from one that has imported everything: cheap to kill.

Only that process forks, never pytest's, whose threads a fork would leave with locks that nobody
frees. A batch is four photos, so that a run has many.
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
from facehash.command_line import make_app, run
from facehash.commands import indexing, keeping, people, searching

# What the commands import when they run.
from facehash.library.ingest import batch  # noqa: F401
from facehash.library.ingest import update as library_indexing
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
# What pytest's main module and Typer's first argument would import in each fork anew.
_context.set_forkserver_preload(["pytest", "pydantic.fields", "pydantic.types", __name__])
_app = make_app("The commands about a library, on the fakes.")
for _room in (indexing, searching, people, keeping):
    _room.add_to(_app)


class Command:
    """A command that runs in a process of its own."""

    def __init__(self, output, *words, largest_file=None, stops=False, states=None, dies_at=None):
        """Start it, and return when it comes to its photos or its library.

        Args:
            output: A file for what it prints on stderr.
            words: The command line.
            largest_file: Beyond so many bytes nothing can be written to a file, as on a full disk.
            stops: Stop for good where faces are embedded, and return only then.
            states: A file to which the faces are appended after each transaction.
            dies_at: Kill itself by SIGKILL before so many-th statement of the database.
        """
        self._output = output
        ready, begun = _context.Pipe(duplex=False)
        given = (begun, output, [str(word) for word in words], largest_file, stops, states, dies_at)
        self.process = _context.Process(target=_run, args=given)
        self.process.start()
        begun.close()
        with contextlib.suppress(EOFError):  # it ended before
            ready.recv()
        ready.close()

    def end(self):
        """Wait, and return the exit code and what was printed on stderr."""
        self.process.join(60)
        return self.process.exitcode, self._output.read_text("utf-8")

    def kill(self, after=0):
        """Kill it by SIGKILL after some seconds; return whether it still ran."""
        self.process.join(after)
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL


class Reader:
    """A process that asks a library over and over."""

    def __init__(self, directory, vector, **options):
        """Start it, and return when it has its first answer.

        Args:
            directory: The library.
            vector: float32 (1, dimension), what is asked.
            options: How `open_library` opens the library; it is opened anew for each question
                where ``once`` is false.
        """
        self._answers, theirs = _context.Pipe()
        self.process = _context.Process(target=_ask, args=(theirs, directory, vector, options))
        self.process.start()
        theirs.close()
        self._answers.recv()

    def end(self):
        """Stop it; return how often it asked, its distinct answers, and an error if there was one.

        An answer is (id, distance, path) of each hit, in order.
        """
        with contextlib.suppress(BrokenPipeError):  # it has met an error
            self._answers.send(None)
        answer = self._answers.recv()
        self.process.join(60)
        return answer


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

    def telling(function):
        def told(*arguments, **options):
            if not begun.closed:
                begun.send(None)
                begun.close()
                if stops:
                    time.sleep(600)
            return function(*arguments, **options)

        return told

    if stops:
        fakes.Projection.embed = telling(fakes.Projection.embed)
    else:
        library_indexing.scan = telling(library_indexing.scan)
        Store.open = telling(Store.open)
    if states is not None:
        Database.transaction = _noting(Database.transaction, states)
    if dies_at is not None:
        Database._translated_errors = _dying(Database._translated_errors, dies_at)
    run(_app, "facehash", words)


def _noting(transaction, states):
    @contextlib.contextmanager
    def noted(self):
        with transaction(self):
            yield
        with states.open("ab") as file:
            pickle.dump(self.rows(STATE), file)

    return noted


def _dying(telling, left):
    def told(self):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return telling(self)

    return told


def _ask(pipe, directory, vector, options):
    count, answers, told = 0, set(), None
    once = options.pop("once")
    faces = Store.faces

    def late(*arguments):
        time.sleep(0.01)
        return faces(*arguments)

    # A writer has time between what the index finds and what is told of it.
    Store.faces = late
    try:
        with contextlib.ExitStack() as stack:
            library = None
            while not pipe.poll():
                if library is None or not once:
                    stack.close()
                    library = open_library(directory, make_pipeline=fakes.make_pipeline, **options)
                    stack.enter_context(library)
                [answer] = library.search_vectors(vector, k=1000)
                answers.add(tuple((hit.face_id, hit.distance, hit.path) for hit in answer.hits))
                count += 1
                if count == 1:
                    pipe.send(None)
    except Exception:
        told = traceback.format_exc()
        if not count:
            pipe.send(None)
    pipe.send((count, answers, told))
