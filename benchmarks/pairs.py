"""Comparisons in turns, because the speed of a shared machine changes over time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

Turns = dict[str, list[float]]


def take_turns(
    methods: dict[str, Callable[[], object]], turns: int, clocks: dict[str, Callable[[], float]]
) -> dict[str, Turns]:
    """Time every method in every turn, in alternating order.

    Args:
        methods: The methods by name; each is called once before, without timing.
        turns: Number of turns.
        clocks: The clocks to read, by name.

    Returns:
        The seconds of every turn, by clock and method.
    """
    for method in methods.values():
        method()
    found: dict[str, Turns] = {clock: {name: [] for name in methods} for clock in clocks}
    for turn in range(turns):
        for name in list(methods)[:: 1 if turn % 2 == 0 else -1]:
            before = [clock() for clock in clocks.values()]
            methods[name]()
            after = [clock() for clock in clocks.values()]
            for clock, start, end in zip(clocks, before, after, strict=True):
                found[clock][name].append(end - start)
    return found


# Wall time is what a user waits for; processor time hardly depends on other processes.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def ratio(seconds: Turns, one: str, others: tuple[str, ...]) -> dict[str, Any]:
    """Compare the fastest of the others with one method, turn by turn.

    Returns:
        Median and quartiles of (seconds of the fastest other) / (seconds of `one`).
    """
    best = [min(times) for times in zip(*(seconds[name] for name in others), strict=True)]
    ratios = [other / mine for other, mine in zip(best, seconds[one], strict=True)]
    lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": round(middle, 3), "quartiles": [round(lower, 3), round(upper, 3)]}


def verdict(found: dict[str, Any], bar: float, most: bool = False) -> str:
    """Return whether the quartiles of a ratio reach a bar, miss it, or lie on both sides.

    Args:
        found: The result of `ratio`.
        bar: The required minimum.
        most: `bar` is a maximum instead.
    """
    lower, upper = found["quartiles"]
    if most:
        lower, upper, bar = -upper, -lower, -bar
    if lower >= bar:
        return "met"
    return "missed" if upper < bar else "not resolved"
