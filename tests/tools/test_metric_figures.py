"""docs/reading_the_metrics.md and its figures agree with the committed numbers."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from facehash.codes import packed_from_bits
from facehash.retrieval.codes_file import CodeSet
from tests.conftest import ROOT
from tools.metric_figures import NUMBERS, draw, measure

TEXT = (ROOT / "docs" / "reading_the_metrics.md").read_text(encoding="utf-8")
REPORTS = ROOT / "experiments/results/reports"
REPORT = json.loads((REPORTS / "quickstart-ddh-48-seen-s0.json").read_text(encoding="utf-8"))
COMMITTED = json.loads((ROOT / NUMBERS).read_text(encoding="utf-8"))


def codes():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 4)
    gallery, query = (packed_from_bits(random.integers(0, 2, (20, 48))) for _ in range(2))
    return CodeSet(gallery, query, labels, labels, 48)


def test_every_key_of_a_report_is_explained_and_every_metric_with_its_value():
    for name, value in REPORT["metrics"].items():
        row = re.search(rf"^\| `{re.escape(name)}` \|.*\| ([\d.]+) \|$", TEXT, re.MULTILINE)
        assert row[1] == f"{value:.3f}", name
    authors = REPORT["metrics_author"]
    words = (f"{name} {authors[name]:.3f}" for name in ("mAP", "P@r2", "R@r2"))
    assert all(word in " ".join(TEXT.split()) for word in words)
    for section in ("curves", "code"):
        for name in REPORT[section]:
            assert f"`{section}.{name}`" in TEXT
    for name in {"dataset", "method", "bits", "seed", "backend", "seconds", "metrics_author"}:
        assert f"`{name}`" in TEXT


def test_the_figures_are_of_the_codes_that_were_reported():
    for name in ("mAP_lower", "mAP", "mAP_upper"):
        value = COMMITTED["by_length"][name][-1]
        assert value == pytest.approx(REPORT["metrics"][name], abs=1e-4)
    at_two = {name: values[2] for name, values in COMMITTED["by_radius"].items()}
    for name, key in (("precision", "P@r2"), ("recall", "R@r2"), ("empty", "empty@r2")):
        assert at_two[name] == pytest.approx(REPORT["metrics"][key], abs=1e-4)


def test_the_numbers_follow_from_codes_and_both_figures_are_drawn(tmp_path):
    numbers = measure(codes())
    assert numbers.keys() == COMMITTED.keys()
    assert numbers["by_length"].keys() == COMMITTED["by_length"].keys()
    band = numbers["by_length"]
    for scores in zip(band["mAP_lower"], band["mAP"], band["mAP_upper"], strict=True):
        assert list(scores) == sorted(scores)
    assert numbers["by_radius"]["recall"] == sorted(numbers["by_radius"]["recall"])
    draw(COMMITTED, tmp_path)
    for name in ("metrics-ties.png", "metrics-radius.png"):
        with Image.open(tmp_path / name) as drawn, Image.open(ROOT / "docs/images" / name) as kept:
            assert drawn.size == kept.size
