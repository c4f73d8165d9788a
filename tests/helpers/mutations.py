"""Mutated files, and a separate process that reads them.

`fuzz` passes mutations of real files to a reader: some hundred of them, always the same; or new
ones until the time FACEHASH_FUZZ_SECONDS, which the tests share, is over.
"""

import atexit
import base64
import functools
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT

SECONDS = float(os.environ.get("FACEHASH_FUZZ_SECONDS", "0"))
EXAMPLES = 500
_PATIENCE = 60  # seconds per file, generous for a busy machine
_NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 2**32 - 1,
            2**63 - 1, 2**64 - 1)  # fmt: skip
_KINDS = ("flip", "number", "bytes", "insert", "remove", "repeat", "splice", "cut")


@st.composite
def mutated(draw, seeds):
    """Change one of the seeds in one to six places."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(_KINDS))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            form = draw(st.sampled_from(("B", "<H", ">H", "<I", ">I", "<Q", ">Q")))
            number = draw(st.sampled_from(_NUMBERS)) % 256 ** struct.calcsize(form)
            content[at : at + struct.calcsize(form)] = struct.pack(form, number)
        elif kind == "bytes":
            new = draw(st.binary(min_size=1, max_size=8))
            content[at : at + len(new)] = new
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "remove":
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == "repeat":
            start = draw(st.integers(0, len(content)))
            content[at:at] = content[start : start + draw(st.integers(1, 64))]
        elif kind == "splice":
            other = draw(st.sampled_from(seeds))
            content[at:] = other[draw(st.integers(0, len(other))) :]
        elif kind == "cut":
            del content[at:]
    return bytes(content)


def fuzz(reader, seeds, wrap=bytes, share=1.0):
    """Pass mutations to a reader of `tests.helpers.mutation_reader`.

    Args:
        reader: Its name there.
        seeds: Valid files, or what `wrap` turns into valid files.
        wrap: Makes a file of mutated bytes, for formats with checksums.
        share: Share of the seconds of a long run.

    Raises:
        AssertionError: The reader did anything but return a value or refuse in one line.
    """
    outcomes = set()

    def look(content):
        file = wrap(content)
        outcome = child().read(reader, file)
        outcomes.add(outcome)
        shown = base64.b64encode(file).decode() if len(file) < 20_000 else f"{len(file)} bytes"
        assert outcome in ("value", "refused"), f"{reader}: {outcome}\n{shown}"

    for seed in seeds:
        outcome = child().read(reader, wrap(seed))
        assert outcome == "value", f"{reader}: refuses a seed: {outcome}"
    end = time.monotonic() + SECONDS * share
    for rounds in itertools.count(1):
        one = settings(
            max_examples=EXAMPLES,
            derandomize=not SECONDS,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(mutated(seeds))(look))
        (hypothesis.seed(random.randrange(2**64))(one) if SECONDS else one)()
        if time.monotonic() >= end:
            if SECONDS:
                print(f"{reader}: {rounds * EXAMPLES} files")
            break
    # Otherwise the mutations do not test the reader.
    assert outcomes == {"value", "refused"}, outcomes


class _Child:
    """A process that reads; it is replaced when it has died or hangs."""

    def __init__(self):
        self._process = None

    def read(self, reader, content):
        if self._process is None:
            # libtiff writes warnings about each damaged file to stderr.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.helpers.mutation_reader"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        name = reader.encode()
        try:
            head = struct.pack(">II", len(name), len(content))
            self._process.stdin.write(head + name + content)
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
            answer = self._process.stdout.readline().decode().strip() if ready else ""
        except BrokenPipeError:
            answer = ""
        if answer:
            return answer
        how = "died" if self._process.poll() is not None or ready else "hangs"
        self.end()
        return f"the process {how}"

    def end(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@functools.cache
def child():
    """Return the process that all tests share."""
    started = _Child()
    atexit.register(started.end)
    return started
