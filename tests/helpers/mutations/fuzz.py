"""Mutated files, and a separate process that reads them.

`fuzz` passes mutations of real files to a reader: some hundred of them, always the same; or new
ones until the time FACEHASH_FUZZ_SECONDS, which the tests share, is over.
"""

import base64
import itertools
import multiprocessing
import os
import random
import struct
import time

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.mutations.reader import answer_all

SECONDS = float(os.environ.get("FACEHASH_FUZZ_SECONDS", "0"))
EXAMPLES = 500
_PATIENCE = 60  # seconds per file, generous for a busy machine
_NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 2**32 - 1,
            2**63 - 1, 2**64 - 1)  # fmt: skip
_CODED = st.builds(
    lambda form, number: struct.pack(form, number % 256 ** struct.calcsize(form)),
    st.sampled_from(("B", "<H", ">H", "<I", ">I", "<Q", ">Q")),
    st.sampled_from(_NUMBERS),
)


@st.composite
def mutated(draw, seeds):
    """Change one of the seeds in one to six places."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        other = draw(st.sampled_from(seeds))
        start = draw(st.integers(0, len(other)))
        part = st.sampled_from((other[start:], other[start : start + 32]))
        flipped = st.just(bytes(byte ^ 1 << start % 8 for byte in content[at : at + 1]))
        new = draw(flipped | _CODED | st.binary(max_size=16) | part)
        # Replaces as many bytes, none, some or all that follow.
        content[at : at + draw(st.sampled_from((len(new), 0, 9, 64, 10**9)))] = new
    return bytes(content)


def fuzz(reader, seeds, wrap=bytes, share=1.0):
    """Pass mutations to a reader of `tests.helpers.mutations.reader`.

    `wrap` makes a file of mutated bytes, for formats with checksums; `share` is the share of the
    seconds of a long run.
    """
    outcomes = set()

    def look(content):
        file = wrap(content)
        outcome = _CHILD.read(reader, file)
        outcomes.add(outcome)
        shown = base64.b64encode(file).decode() if len(file) < 20_000 else f"{len(file)} bytes"
        assert outcome in ("value", "refused"), f"{reader}: {outcome}\n{shown}"

    for seed in seeds:
        outcome = _CHILD.read(reader, wrap(seed))
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
            spawn = multiprocessing.get_context("spawn")
            self._pipe, theirs = spawn.Pipe()
            self._process = spawn.Process(target=answer_all, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._pipe.send((reader, content))
            if self._pipe.poll(_PATIENCE):
                return self._pipe.recv()
            how = "hangs"
        except (EOFError, OSError):
            how = "died"
        self._process.kill()
        self._process = None
        return f"the process {how}"


_CHILD = _Child()
