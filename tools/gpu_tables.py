"""Tables of training on a GPU: speed, and what DCBH learns there."""

import json
import statistics
from pathlib import Path

from experiments.table.layout import markdown_rows

ROOT = Path(__file__).resolve().parent.parent
SPEED = ROOT / "benchmarks" / "results" / "gpu_training.json"
REPORTS = ROOT / "experiments" / "results"
PROTOCOLS = ("seen", "unseen")


def gpu_speed_table() -> str:
    """Tabulate the measured turns, with a bare `fit` of the same network as the alternative."""
    result = json.loads(SPEED.read_text(encoding="utf-8"))
    rows = []
    for turn in result["turns"]:
        start = [turn["method"].upper(), turn["backend"], turn["precision"]]
        if "not_measured" in turn:
            rows.append([*start, *["not measured"] * 3, "–"])
            continue
        ways = turn["ways"]
        speeds = [found["images_a_second"] for found in ways.values()]
        faster = speeds[0] / ways["bare fit"]["images_a_second"]
        rows.append([*start, *(f"{speed:,.0f}" for speed in speeds), f"{faster:.1f}"])
    head = ["Network", "Backend", "Precision", "With flips and shifts", "Without"]
    head += ["Bare `fit`, without", "Times faster"]
    return markdown_rows(head, rows)


def gpu_quality_table() -> str:
    """Tabulate the mAP of DCBH trained on a GPU beside that of the table of PubFig83."""
    rows = []
    for protocol in PROTOCOLS:
        name = f"pubfig83-dcbh-48-{protocol}"
        paths = sorted((REPORTS / "gpu").glob(f"{name}-s*.json"))
        found = [_map(path) for path in paths]
        each = ", ".join(f"{value:.3f}" for value in found)
        processor = _map(REPORTS / "reports" / f"{name}-s0.json")
        rows.append([protocol, each, f"{statistics.mean(found):.3f}", f"{processor:.3f}"])
    head = ["Identities", "GPU, JAX: seeds 0 and 1", "Mean", "CPU, TensorFlow: seed 0"]
    return markdown_rows(head, rows)


def _map(path: Path) -> float:
    return json.loads(path.read_text(encoding="utf-8"))["metrics"]["mAP"]
