"""The tables of the committed benchmark of large libraries, and what follows from it for 10^9."""

import json
from collections.abc import Callable
from typing import Any

from experiments.table.layout import markdown_rows
from tools.speed_tables import BENCHMARKS

FACES = 10**9
MEMORY = 64 * 10**9
"""Bytes of a machine in the calculation."""
_SEARCHES = ("vectors, cosine", "codes, Hamming", "codes, asymmetric")
_SIDES = {"vectors": "embedding", "codes": "code"}
_KINDS = {"postgresql": "PostgreSQL", "redis": "Redis", "elasticsearch": "Elasticsearch"}


def scale_table() -> str:
    """Tabulate what each step costs in libraries of each size."""
    libraries = _libraries()
    rows = [
        _row("Store the faces, which are embedded", libraries, lambda s: _duration(
            s["build"]["seconds"]["rows"])),
        _row("Write the index files meanwhile", libraries, lambda s: _duration(
            s["build"]["seconds"]["index files"])),
        _row("Open the library", libraries, lambda s: _search(s, _SEARCHES[0], "open")),
        *(
            _row(f"{what}, {kind}", libraries, lambda s, kind=kind, key=key: _search(s, kind, key))
            for kind in _SEARCHES
            for what, key in (
                ("First search", "first search"),
                ("Later search", "later search"),
                ("Per query of 31 at once", "per query of a batch"),
            )
        ),
        _row("Add 64 faces: rows", libraries, lambda s: _duration(s["add"]["seconds"]["rows"])),
        _row("Add 64 faces: index files", libraries, lambda s: _duration(
            s["add"]["seconds"]["index files"])),
        _row("Search by vectors after an index run has stored 64 faces", libraries, lambda s:
             _milliseconds(s["search during indexing"]["milliseconds"])),
        _row("Name 20 faces", libraries, lambda s: _duration(s["name"]["seconds"])),
        _row("Forget this person", libraries, lambda s: _duration(s["forget"]["seconds"])),
        _row("Largest memory of any step", libraries, lambda s:
             f"{max(one['peak_mb'] for one in s.values()) / 1000:.2f} GB"),
        _row("Of a search, vectors / codes", libraries, lambda s: " / ".join(
            f"{s[f'search by {kind}']['peak_mb'] / 1000:.2f} GB" for kind in _SEARCHES[:2])),
        _row("Database on the disk", libraries, lambda s: _bytes(s["build"]["bytes"]["database"])),
        _row("Index files, vectors / codes", libraries, lambda s: " / ".join(
            _bytes(s["build"]["bytes"][column]) for column in _SIDES.values())),
    ]  # fmt: skip
    return markdown_rows(["Step", *(f"{int(size):,} faces" for size in libraries)], rows)


def engine_scale_table() -> str:
    """Tabulate what a server costs beside the local index, and what it finds, at each size."""
    libraries = _libraries()
    rows = []
    for size, library in libraries.items():
        steps = library["steps"]
        for side, column in _SIDES.items():
            local = _SEARCHES[0] if side == "vectors" else _SEARCHES[2]
            rows.append(
                [
                    f"{int(size):,}",
                    side,
                    "none: the local index",
                    "–",
                    _duration(steps["add"]["seconds"]["index files"]),
                    _search(steps, local, "later search"),
                    "all",
                    _bytes(steps["build"]["bytes"][column]),
                ]
            )
            for kind, found in sorted(library["engines"].items()):
                if side in found:
                    one = found[side]
                    rows.append(
                        [
                            f"{int(size):,}",
                            side,
                            _KINDS[kind],
                            _duration(one["push_seconds"]),
                            _duration(one["push_64_seconds"]),
                            _milliseconds(one["milliseconds"]),
                            f"{one['recall']:.1%}",
                            _bytes(one["bytes"]),
                        ]
                    )
    head = ["Faces", "Rows", "Engine", "First push", "After 64 more faces", "Search"]
    head += ["Of the 10 nearest", "Size"]
    return markdown_rows(head, rows)


def paper_table() -> str:
    """Tabulate what 10^9 faces would need, in proportion to the largest measured library."""
    size, library = list(_libraries().items())[-1]
    steps, times = library["steps"], FACES / int(size)
    rows = []
    for side, kind in zip((*_SIDES, "codes"), _SEARCHES, strict=True):
        stored = steps["build"]["bytes"][_SIDES[side]] * times
        spent = steps[f"search by {kind}"]["milliseconds"]
        single = spent["later search"] / 1e3 * times
        batch = spent["per query of a batch"] / 1e3 * times
        machines = -(-stored // MEMORY)
        rows.append(
            [
                kind,
                _bytes(stored),
                f"{machines:.0f}",
                f"{single:,.1f} s",
                f"{single / machines:,.1f} s",
                f"{batch:,.1f} s",
            ]
        )
    head = ["Search", "Index files", "Machines of 64 GB", "Query, one process"]
    return markdown_rows([*head, "Query, all machines at once", "Per query of 31 at once"], rows)


def paper_figures() -> str:
    """Say what storing 10^9 faces would take."""
    size, library = list(_libraries().items())[-1]
    build, times = library["steps"]["build"], FACES / int(size)
    days = build["seconds"]["rows"] * times / 86_400
    return (
        f"In proportion to {int(size):,} faces, the databases would have "
        f"{_bytes(build['bytes']['database'] * times)}, and one process would store the faces in "
        f"{days:.1f} days, after they are detected and embedded.\n"
    )


def _libraries() -> dict[str, Any]:
    result = json.loads((BENCHMARKS / "scale.json").read_text(encoding="utf-8"))
    return dict(sorted(result["libraries"].items(), key=lambda pair: int(pair[0])))


def _row(name: str, libraries: dict[str, Any], cell: Callable[[dict[str, Any]], str]) -> list[str]:
    return [name, *(cell(library["steps"]) for library in libraries.values())]


def _search(steps: dict[str, Any], kind: str, key: str) -> str:
    return _milliseconds(steps[f"search by {kind}"]["milliseconds"][key])


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else _milliseconds(1e3 * seconds)


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value / 1e6:.0f} MB"
