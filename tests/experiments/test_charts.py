"""The figures of a table, drawn from made-up reports."""

import re
import warnings

import matplotlib
import numpy as np
import pytest
from PIL import Image

from experiments.table.charts import write_all_charts
from experiments.table.summary import summarize
from facehash.figures.charts import BLUE, RED
from tests.helpers.table_examples import TABLE, make_grid, make_reports

NAMES = ["map", "precision_radius2", "recall_radius2", "precision_recall", "precision_at"]
NAMES += ["ties", "packing"]


def draw(folder, grid, keep=lambda cell: True):
    """Draw the figures of the cells that are kept."""
    made_up = make_reports(grid)
    reports = {cell.name: made_up[cell.name] for cell in grid.cells if keep(cell)}
    return write_all_charts(grid, summarize(grid, reports), reports, folder)


def words(path):
    """The texts of a drawing; they are text there, not outlines."""
    return re.findall(r"<text[^>]*>(.*?)</text>", path.with_suffix(".svg").read_text())


def lines(path):
    """The x of the corners of each line with round joints in a drawing: the data."""
    text = path.with_suffix(".svg").read_text()
    found = re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]*)" clip-path', text)
    return [[float(x) for x in re.findall(r"[ML] ([-\d.]+)", path)] for path in found]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    return draw(folder / "figures", make_grid(folder))


def test_every_figure_is_written_as_png_and_svg_and_nothing_else(drawn):
    assert [path.name for path in drawn] == [f"{name}.png" for name in NAMES]
    found = {path.name for path in drawn[0].parent.iterdir()}
    assert found == {f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")}
    for path in drawn:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.width > 1000  # two panels
        assert path.with_suffix(".svg").read_text().rstrip().endswith("</svg>")


def test_the_same_results_give_the_same_bytes_and_leave_no_trace(drawn, tmp_path):
    before = dict(matplotlib.rcParams)
    for path in draw(tmp_path / "again", make_grid(tmp_path)):
        for kind in (".png", ".svg"):
            again = path.with_suffix(kind).read_bytes()
            assert again == drawn[0].with_name(path.name).with_suffix(kind).read_bytes()
    assert dict(matplotlib.rcParams) == before


def test_a_figure_names_table_panels_axes_and_methods(drawn):
    texts = words(drawn[0])
    for expected in ("Mean average precision by code length", TABLE["title"], "seen identities"):
        assert expected in texts
    assert {"unseen identities", "Bits", "mAP", "DDH", "LSH", "cosine"} <= set(texts)
    assert texts.count("DDH") == 1  # one legend for both panels
    assert "Precision among the nearest N, 24 bits" in words(drawn[4])


def test_vectors_and_baselines_are_drawn_only_where_they_have_values(drawn):
    figures = dict(zip(NAMES, drawn, strict=True))
    for name in ("precision_radius2", "recall_radius2", "precision_recall"):
        assert "cosine" not in words(figures[name])
    for name in ("map", "precision_at"):
        assert "cosine" in words(figures[name])
    assert "DDH, worst to best order" in words(drawn[5])
    assert {"DDH mAP, true distance", "DDH P@r2, authors' packing"} <= set(words(drawn[6]))
    for path in drawn[5:]:
        assert not any("LSH" in text for text in words(path))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Two networks, one with an ablation, lengths out of order, labels that look like markup."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [
        TABLE["rows"][0] | {"label": "my$data$_<b>&"},
        TABLE["rows"][1] | {"label": "a label that says much more than a legend has room for " * 2},
        {"id": "other", "label": "Other", "config": "ddh.yaml"},
        {"id": "ddh_dense", "label": "ablation", "config": "ddh.yaml", "bits": [24]},
    ]
    changes = {"bits": [24, 8, 16], "protocols": ["seen"], "title": "a$b$c", "rows": rows}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(folder / "figures", make_grid(folder, **changes))


def test_each_network_has_its_color_and_its_baselines_share_it(odd, drawn):
    two, one = (paths[0].with_suffix(".svg").read_text() for paths in (odd, drawn))
    assert BLUE.lower() in two and RED.lower() in two
    assert BLUE.lower() in one and RED.lower() not in one  # a network with two baselines


def test_lengths_are_joined_in_their_order_whatever_that_of_the_table(odd):
    for path in odd[:3]:
        assert len(lines(path)) >= 3
        for xs in lines(path):
            assert (np.diff(xs) >= 0).all()


def test_odd_labels_are_drawn_as_text_and_an_ablation_at_one_length_not_at_all(odd):
    assert {"my$data$_&lt;b&gt;&amp;", "a$b$c"} <= set(words(odd[0]))
    assert "a label that says much more" in words(odd[0])  # broken into lines
    for path in odd:
        assert not any("ablation" in text for text in words(path))


def test_a_table_of_a_single_cell_or_a_baseline_alone_is_drawn(tmp_path):
    one = {"rows": TABLE["rows"][:1], "bits": [1], "seeds": [0], "protocols": ["seen"]}
    for path in draw(tmp_path / "figures", make_grid(tmp_path, **one)):
        assert path.stat().st_size > 3000
    grid = make_grid(tmp_path, protocols=["unseen"], seeds=[0])
    paths = draw(tmp_path / "figures", grid, lambda cell: cell.row.id == "ddh_cosine")
    assert not any("0 bits" in text for path in paths for text in words(path))
