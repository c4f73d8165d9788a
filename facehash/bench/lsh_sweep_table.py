"""A sweep of LSH settings as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from facehash.bench.lsh_sweep import K, recommend, trade_off
from facehash.bench.table import format_value, table_lines
from facehash.printing import counted

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("tables", "tables", ",d"),
    ("bits", "bits", "d"),
    ("probes", "probes", ",d"),
    ("recall@10", f"recall@{K}", ".3f"),
    ("P@1", "P@1", ".3f"),
    ("compared", "share", ".2%"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p95 ms", "p95_ms", ".2f"),
    ("queries/s", "per_second", ",.0f"),
    ("MB", "megabytes", ",.1f"),
    ("build s", "build_seconds", ".1f"),
)
"""Heading, key of a setting, format."""

_LEAST_RECALL = 0.1
# P@1 below that of the exact index by which a setting still finds people about as well.
_NEARLY = 0.01
_LEGEND = """\
recall@10: share of the ten nearest faces by the exact index that are found. compared: share of all
faces that a query is compared with, those in its buckets. p50, p95: time of one query, from its
vector to its nearest faces. MB: memory of the buckets, beside that of the vectors, which the
exact index needs too."""
_NAMES = """\
P@1: share of the queries whose nearest named face shows the same person; faces on the query's own
photo and near duplicates do not count."""
_NO_NAMES = """\
P@1 is not measured: it needs 20 named faces of people on two photos or more. The queries are faces
drawn at random."""


def format_sweep(result: dict[str, Any]) -> str:
    """Lay out the result of `facehash.bench.lsh_sweep.sweep_lsh`.

    Only settings that no other setting beats in both recall and speed are shown, if they find
    something.
    """
    shown = [one for one in trade_off(result["settings"]) if one[f"recall@{K}"] >= _LEAST_RECALL]
    rows = [cells(one) for one in [result["exact"], *shown]]
    names = ["exact index", *("" for _ in shown)]
    recommended = result["recommended"]
    if recommended in shown:
        names[1 + shown.index(recommended)] = "recommended"
    named = result["exact"]["P@1"] is not None
    return "\n".join([
        f"{result['faces']:,} faces, vectors of {result['dimension']} values, "
        f"{result['queries']:,} queries",
        f"{len(shown)} of {len(result['settings'])} settings: those with a recall of at least "
        f"{_LEAST_RECALL:g} that no other one beats in both recall and speed",
        "",
        *table_lines(
            ["", *(heading for heading, _, _ in COLUMNS)],
            [[name, *row] for name, row in zip(names, rows, strict=True)],
        ),
        "",
        _LEGEND,
        _NAMES if named else _NO_NAMES,
        "",
        *describe_recommended(result),
    ])  # fmt: skip


def cells(setting: dict[str, Any]) -> list[str]:
    """Return the values of a setting in the order of `COLUMNS`; a dash for what it does not have.

    Args:
        setting: One of ``settings``, or ``exact``.
    """
    values = setting | {
        "per_second": 1e3 / setting["p50_ms"],
        "megabytes": setting["bytes"] / 1e6,
    }
    return [format_value(values.get(key), form) for _, key, form in COLUMNS]


def describe_recommended(result: dict[str, Any]) -> Sequence[str]:
    """Return lines that name the recommended setting, or say why there is none."""
    recall, exact, found = result["plan"]["recall"], result["exact"], result["recommended"]
    if found is None:
        highest = max(one[f"recall@{K}"] for one in result["settings"])
        return [
            f"no setting reaches a recall of {recall:g} (the highest is {highest:.3f}): try more "
            "--tables or --probes, or fewer --bits"
        ]
    ratio = exact["p50_ms"] / found["p50_ms"]
    if ratio > 1:
        compared = f"the exact index finds all and takes {ratio:.1f} times as long"
    else:
        compared = (
            f"the exact index finds all in {exact['p50_ms']:.2f} ms: in this process LSH is not "
            "faster at this recall"
        )
    return [
        f"recommended for a recall of {recall:g}: {_in_words(found)} ({found['p50_ms']:.2f} ms per "
        "query)",
        compared,
        *_for_people(result),
    ]


def _for_people(result: dict[str, Any]) -> list[str]:
    """Name the fastest setting that finds the right person nearly as often as the exact index."""
    exact = result["exact"]["P@1"]
    if exact is None:
        return []
    near = [one for one in result["settings"] if one["P@1"] >= exact - _NEARLY]
    found = recommend(near, 0.0)
    if found is None:
        return []
    return [
        f"if the nearest face is enough: {_in_words(found)} have a P@1 of {found['P@1']:.3f} "
        f"(exact index {exact:.3f}) in {found['p50_ms']:.2f} ms"
    ]


def _in_words(setting: dict[str, Any]) -> str:
    parts = [(setting["tables"], "table"), (setting["bits"], "bit"), (setting["probes"], "probe")]
    return ", ".join(counted(number, what) for number, what in parts)


def engine_options(setting: dict[str, Any]) -> str:
    """Return the options of a Redis engine with the buckets and probes of a setting.

    Example:
        >>> engine_options({"tables": 8, "bits": 12, "probes": 16, "most_compared": 20_311})
        'tables=8&bits=12&probes=16&candidates=21000'
    """
    most = max(setting["most_compared"], 100)
    step = 10 ** (len(str(most)) - 2)
    candidates = min(-(-most // step) * step, 10**6)
    values = {name: setting[name] for name in ("tables", "bits", "probes")}
    return "&".join(f"{k}={v}" for k, v in (values | {"candidates": candidates}).items())
