"""The tables of README.md, written from committed files: ``python -m experiments.readme``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from facehash.command_line import DONE, make_app, run
from facehash.files import write_text

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("experiments/results/reports")
BENCHMARKS = Path("benchmarks/results")

app = make_app("Write the tables of README.md from committed results.")


def fill(text: str) -> str:
    """Put fresh tables between the markers of a README.

    Args:
        text: With ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` around each table.

    Returns:
        The text with every table of this module in its place.
    """
    for name, table in (("results", results_table()), ("speed", speed_table())):
        marked = re.compile(rf"(<!-- begin {name} -->\n).*(<!-- end {name} -->)", re.DOTALL)
        text, count = marked.subn(lambda match, table=table: match[1] + table + match[2], text)
        if count != 1:
            raise LookupError(f"README.md has {count} pairs of markers for {name!r}, expected 1")
    return text


def results_table() -> str:
    """Tabulate every committed report."""
    head = ["data set", "method", "bits", "protocol", "queries / gallery", "mAP", "by tie order"]
    head += ["P@r2", "R@r2", "empty@r2", "P@50", "report"]
    return _table(head, [_result(path) for path in sorted((ROOT / REPORTS).glob("*.json"))])


def speed_table() -> str:
    """Tabulate the committed benchmarks, ours beside the rival of the same run."""
    evaluation, data, training = (_read(name) for name in ("evaluation", "data", "training"))
    seconds = {way: values["median_seconds"] for way, values in evaluation["ways"].items()}
    size = evaluation["size"]
    task = f"score {size['gallery']:,} x {size['query']:,} codes of {size['bits']} bits"
    rows = [
        [
            task if rival == "one-hot argsort" else "",
            f"{seconds['numba']:.2f} s",
            f"{seconds[rival]:.1f} s, {words}",
            f"{evaluation['times_faster_than'][rival]:.0f} times faster",
        ]
        for rival, words in (
            ("one-hot argsort", "an argsort a query, one-hot labels (the field's way)"),
            ("lean argsort", "an argsort a query, labels compared"),
            ("numpy", "our own NumPy kernels"),
        )
    ]
    ours, rival = data["tasks"]["ours_read_all"], data["tasks"]["rival_load"]
    converting = data["tasks"]["ours_convert"]
    rows.append(
        [
            f"read {data['images']:,} faces, once converted",
            f"{ours['seconds']:.2f} s",
            f"{rival['seconds']:.1f} s, unpickle and concatenate",
            f"{rival['seconds'] / ours['seconds']:.0f} times faster",
        ]
    )
    rows.append(
        [
            "memory to convert them",
            f"{converting['peak_mb']:.0f} MB",
            f"{rival['peak_mb']:,.0f} MB, unpickle and concatenate",
            f"{rival['peak_mb'] / converting['peak_mb']:.0f} times less",
        ]
    )
    speeds = {way: values["median"] for way, values in training["images_a_second"].items()}
    rows.append(
        [
            "train DDH",
            f"{speeds['ours']:,} images/s",
            f"{speeds['bare fit']:,} images/s, a bare `model.fit`",
            f"{training['ratio_ours_to_bare_fit']:.2f} of its speed",
        ]
    )
    return _table(["what", "ours", "rival", "ours against it"], rows)


def _result(path: Path) -> list[str]:
    report = json.loads(path.read_text(encoding="utf-8"))
    faces, metrics = report["dataset"], report["metrics"]
    return [
        faces["name"],
        report["method"].upper(),
        str(report["bits"]),
        faces["protocol"],
        f"{faces['query']:,} / {faces['gallery']:,}",
        f"{metrics['mAP']:.3f}",
        f"{metrics['mAP_lower']:.3f} to {metrics['mAP_upper']:.3f}",
        *(f"{metrics[name]:.3f}" for name in ("P@r2", "R@r2", "empty@r2", "P@50")),
        f"[seed {report['seed']}]({(REPORTS / path.name).as_posix()})",
    ]


def _read(name: str) -> Any:
    return json.loads((ROOT / BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


@app.command()
def write() -> int:
    """Write the tables of README.md from committed results.

    Example: python -m experiments.readme
    """
    readme = ROOT / "README.md"
    write_text(readme, fill(readme.read_text(encoding="utf-8")))
    return DONE


if __name__ == "__main__":
    run(app, "python -m experiments.readme")
