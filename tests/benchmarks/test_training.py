"""The benchmark of training on a CPU, at a tiny size."""

import argparse
import io
import json
import time

import numpy as np
import pytest

from benchmarks.training import fit, ways
from benchmarks.training.ways import LOOP, OURS, Turns


@pytest.mark.full
def test_ways_train_in_turns_of_a_few_steps(monkeypatch):
    monkeypatch.setattr(fit, "WAYS", (OURS, LOOP))
    options = argparse.Namespace(method="ddh", images=32, batch=8, steps=2, epochs=3)
    found = fit.train_in_turns(options, np.random.default_rng(0))
    for way in (OURS, LOOP):
        first, *others = found[way]["epochs"]
        assert len(others) == 2 and 0 < max(others) < first
    assert found[LOOP]["writing"] == {}
    assert set(found[OURS]["writing"]) == {"state", "model"}


def test_a_turn_ends_after_its_steps_and_begins_with_a_line(monkeypatch, capsys):
    monkeypatch.setattr(ways.sys, "stdin", io.StringIO("\n" * 4))
    turns, finished = Turns(first=4, steps=2, number=8), []
    turns.begin()
    for step in range(8):
        if step == 5:
            time.sleep(0.05)
        turns.step(lambda step=step: finished.append(step))
    seconds = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert finished == [3, 5, 7]
    assert len(seconds) == 3 and seconds[1] >= 0.05 > seconds[2]
    with pytest.raises(SystemExit, match="no further turn"):
        turns.begin()
