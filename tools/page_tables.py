"""The table in docs/page.md: how fast the page answers."""

import json

from experiments.table.layout import markdown_rows
from tools.speed_tables import BENCHMARKS

_KINDS = {
    "search by face id, 20 per second": "search by a face of the library, 20 per second",
    "search by face id, while an index run goes on": "the same, 5 per second, beside an index run",
    "upload and search, one at a time": "upload of a picture and its results, one at a time",
    "first page, one at a time": "first page, one at a time",
}


def page_speed_table() -> str:
    """Tabulate milliseconds and memory, from `python -m benchmarks.web`."""
    stored = json.loads((BENCHMARKS / "web.json").read_text(encoding="utf-8"))
    results, machine = stored["results"], stored["machine"]
    rows = [
        [
            name,
            f"{results[key]['requests']:,}",
            *(f"{results[key]['milliseconds'][share]:.0f}" for share in ("50%", "95%", "99%")),
        ]
        for key, name in _KINDS.items()
    ]
    table = markdown_rows(["Request", "Requests", "Median, ms", "95 %, ms", "99 %, ms"], rows)
    memory = results["memory"]
    first, *_, last = memory["megabytes"]
    return (
        f"{table}\n{results['faces']:,} synthetic faces on {machine['cores']} processors "
        f"({machine['processor']}), which the visitors share. The first page has "
        f"{results['first page, kilobytes with style and scripts']:.0f} kB with its style and "
        f"scripts. The server had {first:.0f} MB of memory before {memory['requests']:,} searches "
        f"and {last:.0f} MB afterwards.\n"
    )
