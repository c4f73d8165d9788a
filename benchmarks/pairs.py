"""Ways that are compared turn by turn, because a machine that others share is never the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Turns = dict[str, list[float]]


def take_turns(
    ways: dict[str, Callable[[], object]], turns: int, clocks: dict[str, Callable[[], float]]
) -> dict[str, Turns]:
    """Time every way in every turn, forth in one turn and back in the next.

    Args:
        ways: What is timed, by name; each is called once untimed before.
        turns: How often.
        clocks: What is read before and after, by name.

    Returns:
        Of each clock, of each way, the seconds of every turn.
    """
    for way in ways.values():
        way()
    found: dict[str, Turns] = {clock: {name: [] for name in ways} for clock in clocks}
    for turn in range(turns):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            before = [clock() for clock in clocks.values()]
            ways[name]()
            after = [clock() for clock in clocks.values()]
            for clock, start, end in zip(clocks, before, after, strict=True):
                found[clock][name].append(end - start)
    return found


# Wall time is what a user waits; processor time is what is left of it when others stay away.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def ratio(seconds: Turns, one: str, others: tuple[str, ...]) -> dict[str, Any]:
    """Relate the fastest of the others to one way, turn by turn.

    Returns:
        Median and quartiles of how many times the seconds of `one` the others took.
    """
    best = [min(times) for times in zip(*(seconds[name] for name in others), strict=True)]
    ratios = [other / mine for other, mine in zip(best, seconds[one], strict=True)]
    lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": round(middle, 3), "quartiles": [round(lower, 3), round(upper, 3)]}


def verdict(found: dict[str, Any], bar: float, most: bool = False) -> str:
    """Say whether a ratio's quartiles reach a bar, miss it, or lie on both sides.

    Args:
        found: What `ratio` returned.
        bar: What it must be at least; with `most`, at most.
        most: As said.
    """
    lower, upper = found["quartiles"]
    if most:
        lower, upper, bar = -upper, -lower, -bar
    if lower >= bar:
        return "met"
    return "missed" if upper < bar else "not resolved"
