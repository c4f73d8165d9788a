"""The tables of the READMEs, written from committed files: ``python -m experiments.readme``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facehash.command_line import DONE, make_app, run
from facehash.files import write_text

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("experiments/results/reports")
BENCHMARKS = Path("benchmarks/results")

app = make_app("Write the tables of the READMEs from committed results.")


def fill(name: str, text: str) -> str:
    """Put fresh tables between the markers of a document.

    Args:
        name: A key of `TABLES`.
        text: With ``<!-- begin TABLE -->`` and ``<!-- end TABLE -->`` around each of its tables.

    Returns:
        The text with every table in its place.
    """
    for table, make in TABLES[name].items():
        marked = re.compile(rf"(<!-- begin {table} -->\n).*(<!-- end {table} -->)", re.DOTALL)
        text, count = marked.subn(lambda match, make=make: match[1] + make() + match[2], text)
        if count != 1:
            raise LookupError(f"{name} has {count} pairs of markers for {table!r}, expected 1")
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
    lower, upper = training["ratio_quartiles"]
    speeds = {way: values["median"] for way, values in training["images_a_second"].items()}
    rows.append(
        [
            "train DDH",
            f"{speeds['ours']:,} images/s",
            f"{speeds['bare fit']:,} images/s, a bare `model.fit`",
            f"{training['ratio_ours_to_bare_fit']:.2f} of its speed "
            f"(quartiles of pairs {lower:.2f} to {upper:.2f})",
        ]
    )
    return _table(["what", "ours", "rival", "ours against it"], rows)


def options_table() -> str:
    """Tabulate the ways of training DCBH that were tried."""
    measured = _read("training_options")["options"]
    rows = [
        [name, row["why"], "", "", row["not_measured"]]
        if "not_measured" in row
        else [
            name,
            row["why"],
            f"{row['images_a_second']:.0f}",
            f"{row['gflops']:.0f}",
            f"{row['share_of_best_float32_peak']:.0%}",
        ]
        for name, row in measured.items()
    ]
    return _table(["option", "what is asked", "images/s", "GFLOP/s", "of the best product"], rows)


def profile_table() -> str:
    """Tabulate where the time of a training step of DCBH goes."""
    profile = _read("training_options")["profile"]["share_of_operations"]
    rows = [[kind, f"{share:.1%}"] for kind, share in profile.items()]
    return _table(["operations", "share of the time"], rows)


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


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"results": results_table, "speed": speed_table},
    "dcbh/README.md": {"options": options_table, "profile": profile_table},
}
"""What stands between the markers of which document."""


@app.command()
def write() -> int:
    """Write the tables of the READMEs from committed results.

    Example: python -m experiments.readme
    """
    for name in TABLES:
        path = ROOT / name
        write_text(path, fill(name, path.read_text(encoding="utf-8")))
    return DONE


if __name__ == "__main__":
    run(app, "python -m experiments.readme")
