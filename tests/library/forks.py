"""Commands in processes that are forked from one that has imported everything: cheap to kill.

Only that process forks, never pytest's, whose threads a fork would leave with locks that nobody
frees. A batch is four photos, so that a run has many.
"""

import multiprocessing
import os
import resource
import signal
import sys

from facehash.command_line import make_app, run
from facehash.commands import indexing, keeping, people, searching

# What the commands import when they run.
from facehash.library import (  # noqa: F401
    batches,
    checking,
    forgetting,
    makers,
    search,
    statistics,
)
from facehash.library import indexing as library_indexing
from facehash.library import people as library_people  # noqa: F401
from facehash.library.store import Store
from tests.library import fakes

CHOICE = ("--detector", "halves", "--embedder", "cosine:12", "--workers", "1")

_context = multiprocessing.get_context("forkserver")
# What pytest's main module and Typer's first argument would import in each fork anew.
_context.set_forkserver_preload(["pytest", "pydantic.fields", "pydantic.types", __name__])
_app = make_app("The commands about a library, on the fakes.")
for _room in (indexing, searching, people, keeping):
    _room.add_to(_app)


class Command:
    """A command that runs in a process of its own."""

    def __init__(self, output, *words, largest_file=None):
        """Start it, and return when it comes to its photos or its library.

        Args:
            output: A file for what it prints on stderr.
            words: The command line.
            largest_file: Beyond so many bytes nothing can be written to a file, as on a full disk.
        """
        self._output = output
        ready, begun = _context.Pipe(duplex=False)
        words = [str(word) for word in words]
        self.process = _context.Process(target=_run, args=(begun, output, words, largest_file))
        self.process.start()
        begun.close()
        ready.recv()
        ready.close()

    def end(self):
        """Wait, and return the exit code and what was printed on stderr."""
        self.process.join(60)
        return self.process.exitcode, self._output.read_text("utf-8")

    def kill(self, after):
        """Kill it by SIGKILL after some seconds; return whether it still ran."""
        self.process.join(after)
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL


def _run(begun, output, words, largest_file):
    with output.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    with open(os.devnull, "wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
    batches.PHOTOS = 4
    for name in ("make_detector", "make_embedder", "crop_face"):
        setattr(makers, name, getattr(fakes, name))
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    def telling(function):
        def told(*arguments, **options):
            if not begun.closed:
                begun.send(None)
                begun.close()
            return function(*arguments, **options)

        return told

    library_indexing.scan = telling(library_indexing.scan)
    Store.open = telling(Store.open)
    run(_app, "facehash", words)
