"""Two processes and one library: one writer at a time, and readers at any time."""

import contextlib
import os
import pickle

import numpy as np
import pytest

from facehash.files import FileInUseError
from facehash.library.storage.folder import write_lock
from facehash.library.upkeep.check import check
from tests.library import fakes
from tests.library.conftest import draw, save
from tests.library.forks import CHOICE, Command, Reader

QUERY = fakes.Projection(12).embed(np.stack([fakes.resize(draw(1), fakes.SIDE)]))


@pytest.fixture
def album(tmp_path):
    for seed in range(60):
        save(tmp_path / "album" / "AB"[seed % 2] / f"{seed:02}.png", draw(seed))
    return tmp_path / "album"


def test_a_second_writer_is_an_error_until_the_first_one_ends(index, directory, photos):
    index(names="folders")
    save(photos / "Bo" / "new.png", draw(50))
    commands = [
        ("index", photos, *CHOICE),
        ("people", "name", "Dora", "1"),
        ("people", "rename", "Ann", "Anna"),
        ("people", "merge", "Bo", "--into", "Cy"),
        ("forget", "--person", "Cy"),
        ("rebuild",),
    ]
    with pytest.raises(RuntimeError, match="ours"), write_lock(directory, "index"):
        for words in commands:
            code, message = Command(directory, *words).end()
            assert (code, message.count("\n")) == (2, 1), (words, message)
            named = f"{directory}: process {os.getpid()} (facehash index, since "
            assert named in message and message.endswith("; wait until it is done\n")
        # Readers do not wait.
        for words in (("stats",), ("people", "list")):
            assert Command(directory, *words).end() == (0, "")
        with pytest.raises(FileInUseError), write_lock(directory, "forget"):
            pass
        raise RuntimeError("ours")  # An error releases the lock, too.
    for words in commands:
        assert Command(directory, *words).end() == (0, ""), words
    assert check(directory) == []
    assert (directory / "lock").read_text() == ""


def test_of_two_runs_at_once_each_does_everything_or_fails(album, directory, index):
    words = ("index", album, *CHOICE)
    both = [Command(directory, *words) for _ in range(2)]
    ended = [one.end() for one in both]
    assert (0, "") in ended, ended
    for code, message in ended:
        assert code == 0 or (code == 2 and "is writing to it; wait until" in message), message
    assert index(album).unchanged == 60 and check(directory) == []


@pytest.mark.parametrize("by", ["embedding", pytest.param("code", marks=pytest.mark.full)])
def test_every_search_result_was_true_at_one_moment(album, directory, tmp_path, by):
    log = tmp_path / "states"
    words = ("index", album, "--names", "folders", "--codes", "lsh:64", *CHOICE)
    assert Command(directory, *words, states=log).end() == (0, "")
    reader = Reader(directory, QUERY, by)
    for _ in range(2):
        for more in (("forget", "--person", "A"), ("forget", "--person", "B"),
                     (*words, "--include-forgotten")):  # fmt: skip
            assert Command(directory, *more, states=log).end() == (0, "")
    count, results, error = reader.end()
    assert error is None, error
    states = {}
    with log.open("rb") as file, contextlib.suppress(EOFError):
        while True:
            state = pickle.load(file)
            states[frozenset(row[0] for row in state)] = state
    for result in results:
        state = states[frozenset(hit[0] for hit in result)]
        assert {(face, os.fsencode(path)) for face, _, path in result} == {
            (face, path) for face, _, path in state
        }
        distances = [distance for _, distance, _ in result]
        assert distances == sorted(distances)
        if by == "embedding":
            expected = {face: distance_of(np.frombuffer(row, "<f4")) for face, row, _ in state}
            found = {face: distance for face, distance, _ in result}
            assert found == pytest.approx(expected, abs=1e-5)
    assert count > 20 and len(results) >= 4, (count, len(results))


def distance_of(row):
    row, query = row.astype(np.float64), QUERY[0].astype(np.float64)
    return 1 - row @ query / np.linalg.norm(row) / np.linalg.norm(query)
