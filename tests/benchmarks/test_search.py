"""What the benchmarks conclude from what they measured."""

import json

import numpy as np
import pytest

from benchmarks import pairs
from benchmarks.search import hamming as search
from benchmarks.search.opening import time_opening


def test_ways_take_turns_forth_and_back_after_one_that_is_not_timed():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = pairs.take_turns(ways, 2, {"calls": lambda: len(calls), "none": lambda: 0})
    assert "".join(calls) == "abc" + "abc" + "cba"
    assert seconds["calls"] == {name: [1, 1] for name in "abc"}
    assert seconds["none"] == {name: [0, 0] for name in "abc"}


def test_the_rival_that_is_faster_in_a_turn_is_the_one_that_counts():
    seconds = {"ours": [1.0, 2.0, 1.0], "heap": [4.0, 6.0, 9.0], "counting": [5.0, 4.0, 3.0]}
    found = pairs.ratio(seconds, "ours", ("heap", "counting"))
    assert found == {"median": 3.0, "quartiles": [2.5, 3.5]}


@pytest.mark.parametrize(
    ("quartiles", "bar", "most", "said"),
    [
        ([3.0, 4.0], 3, False, "met"),
        ([2.9, 4.0], 3, False, "not resolved"),
        ([2.0, 2.9], 3, False, "missed"),
        ([1.1, 1.3], 1.3, True, "met"),
        ([1.1, 1.4], 1.3, True, "not resolved"),
        ([1.4, 1.5], 1.3, True, "missed"),
    ],
)
def test_a_ratio_has_to_be_at_least_or_at_most_its_bar(quartiles, bar, most, said):
    assert pairs.verdict({"median": 0, "quartiles": quartiles}, bar, most) == said


def test_ours_and_both_ways_of_the_rival_find_the_same_distances():
    for bits in (64, 128):
        gallery, queries = search.draw_codes(10**4, bits)
        searches = search.code_searches(gallery, bits, 1)
        found = [one(queries[:5]) for one in searches.values()]
        assert len(found) == 3 and all((other == found[0]).all() for other in found)
    queries, searches = search.vector_searches(10**4)
    ours, rival = (one(queries[:5]) for one in searches.values())
    assert np.allclose(ours, rival, atol=1e-5)


def test_a_library_is_opened_and_searched(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (1500, 8), np.uint8)
    found = time_opening(codes, codes[:2], 2)
    assert (found["rows"], found["bits"]) == (1500, 64)
    assert found["milliseconds"].keys() == {"open", "first search", "second search"}


def test_the_committed_result_of_the_search_says_what_its_figures_say():
    result = json.loads(search.RESULT.read_text(encoding="utf-8"))
    assert result["bars"] == search.judge(result)
    assert all(case["same_distances"] for case in result["cases"])
