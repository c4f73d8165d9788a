"""Tables of the committed sweep of LSH settings."""

import json
from typing import Any

from experiments.table.layout import markdown_rows
from facehash.bench.lsh_sweep import K, recommend
from tools.speed_tables import BENCHMARKS

RECALLS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_DATA = {"synthetic": "synthetic", "photos": "LFW"}


def sweep_table() -> str:
    """Tabulate the fastest setting at each recall, and the exact index, for both data sets."""
    result, rows = _read(), []
    for name, what in _DATA.items():
        found = result[name]
        label = f"{found['faces']:,} faces, {what}"
        exact = found["exact"]
        rows.append([label, "exact index", "–", "–", "–", *_scores(exact), "–"])
        for recall in RECALLS:
            one = recommend(found["settings"], recall)
            if one is not None:
                setting = [str(one[key]) for key in ("tables", "bits", "probes")]
                rows.append([label, f"{recall:g}", *setting, *_scores(one), _megabytes(one)])
    head = ["Data", "Recall of at least", "Tables", "Bits", "Probes", f"Recall@{K}", "P@1"]
    return markdown_rows([*head, "Compared", "Median", "p95", "Buckets"], rows)


def sweep_grid_table() -> str:
    """Tabulate every setting on synthetic faces: one row per index, one column per probes."""
    settings = _read()["synthetic"]["settings"]
    probes = sorted({one["probes"] for one in settings})
    found = {(one["tables"], one["bits"], one["probes"]): one for one in settings}
    rows = []
    for tables, bits in dict.fromkeys((one["tables"], one["bits"]) for one in settings):
        first = found[tables, bits, probes[0]]
        cells = [_brief(found[tables, bits, number]) for number in probes]
        built = [_megabytes(first), f"{first['build_seconds']:.1f} s"]
        rows.append([str(bits), str(tables), *built, *cells])
    head = ["Bits", "Tables", "Buckets", "Build"]
    return markdown_rows([*head, *(f"{number} probes" for number in probes)], rows)


def sweep_redis_table() -> str:
    """Tabulate the settings that were measured on Redis, beside the same ones in memory."""
    result = _read()
    key = ("tables", "bits", "probes")
    memory = {tuple(one[k] for k in key): one for one in result["synthetic"]["settings"]}
    rows = [
        [
            f"`{one['options']}`",
            f"{one['recall@10']:.3f}",
            f"{one['P@1']:.2f}",
            f"{one['candidates']:,.0f}",
            f"{one['same_candidates']:.0%}",
            f"{one['p50_ms']:.1f} ms",
            f"{memory[tuple(one[k] for k in key)]['p50_ms']:.1f} ms",
            f"{one['push_seconds']:.0f} s",
            _megabytes(one),
        ]
        for one in result["redis"]
    ]
    head = ["Options", "Recall@10", "P@1", "Candidates", "As in memory", "Median"]
    return markdown_rows([*head, "Median in memory", "First push", "Size"], rows)


def _scores(one: dict[str, Any]) -> list[str]:
    return [
        f"{one[f'recall@{K}']:.3f}",
        f"{one['P@1']:.3f}",
        f"{one['share']:.1%}",
        f"{one['p50_ms']:.2f} ms",
        f"{one['p95_ms']:.2f} ms",
    ]


def _brief(one: dict[str, Any]) -> str:
    return f"{one[f'recall@{K}']:.2f} / {one['P@1']:.2f} / {one['p50_ms']:.1f} ms"


def _megabytes(one: dict[str, Any]) -> str:
    megabytes = one["bytes"] / 1e6
    return f"{megabytes:,.0f} MB" if megabytes >= 1 else f"{megabytes:.2f} MB"


def _read() -> dict[str, Any]:
    result: dict[str, Any] = json.loads((BENCHMARKS / "lsh_sweep.json").read_text(encoding="utf-8"))
    return result
