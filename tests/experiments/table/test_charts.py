"""The figures of a table, drawn from made-up reports."""

import re

import matplotlib
import pytest
from PIL import Image

from experiments.table.charts import write_all_charts
from experiments.table.summary import summarize
from tests.helpers.table_examples import TABLE, make_grid, make_reports

NAMES = ["map", "precision_radius2", "recall_radius2", "precision_recall", "precision_at"]
NAMES += ["ties", "packing"]


def draw(folder, grid):
    reports = make_reports(grid)
    return write_all_charts(grid, summarize(grid, reports), reports, folder)


def words(path):
    """The texts of a drawing; they are text there, not outlines."""
    return re.findall(r"<text[^>]*>(.*?)</text>", path.with_suffix(".svg").read_text())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    return draw(folder / "figures", make_grid(folder))


def test_every_figure_is_written_as_png_and_svg_always_with_the_same_bytes(drawn, tmp_path):
    assert [path.name for path in drawn] == [f"{name}.png" for name in NAMES]
    found = {path.name for path in drawn[0].parent.iterdir()}
    assert found == {f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")}
    before = dict(matplotlib.rcParams)
    for path in draw(tmp_path / "again", make_grid(tmp_path)):
        with Image.open(path) as image:
            assert image.width > 1000  # two panels
        for kind in (".png", ".svg"):
            again = path.with_suffix(kind).read_bytes()
            assert again == drawn[0].with_name(path.name).with_suffix(kind).read_bytes()
    assert dict(matplotlib.rcParams) == before


def test_figures_name_table_panels_axes_and_the_methods_that_have_values(drawn):
    texts = words(drawn[0])
    for expected in ("Mean average precision by code length", TABLE["title"], "seen identities"):
        assert expected in texts
    assert {"unseen identities", "Bits", "mAP", "DDH", "LSH", "cosine"} <= set(texts)
    assert texts.count("DDH") == 1  # one legend for both panels
    figures = dict(zip(NAMES, map(words, drawn), strict=True))
    assert "Precision among the nearest N, 24 bits" in figures["precision_at"]
    assert [name for name in NAMES if "cosine" in figures[name]] == ["map", "precision_at"]
    assert "DDH, worst to best order" in figures["ties"]
    assert {"DDH mAP, true distance", "DDH P@r2, authors' packing"} <= set(figures["packing"])
    assert not any("LSH" in text for text in figures["ties"] + figures["packing"])
