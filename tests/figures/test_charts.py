import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from facehash.codes import CodesError, packed_from_bits
from facehash.figures import charts, style
from facehash.figures.grid import write_retrieval_grid
from facehash.retrieval.evaluation import evaluate


@pytest.fixture(scope="module")
def evaluation():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 12
    bits = rng.integers(0, 2, (12, 16))[labels] ^ (rng.random((120, 16)) < 0.1)
    packed = packed_from_bits(bits)
    return evaluate(packed[40:], packed[:40], labels[40:], labels[:40], 16)


def grid_arrays(rows=2, columns=3, side=8):
    rng = np.random.default_rng(0)
    return {
        "queries": rng.integers(0, 255, (rows, side, side, 3), dtype=np.uint8),
        "found": rng.integers(0, 255, (rows, columns, side, side, 3), dtype=np.uint8),
        "right": np.arange(rows * columns).reshape(rows, columns) % 2 == 0,
        "distances": np.arange(rows * columns).reshape(rows, columns),
    }


def pixels_of(path, color):
    """Return which pixels of an image have about a color, bool (height, width)."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return np.abs(pixels - wanted).max(axis=-1) < 8


def share_of(path, color):
    return pixels_of(path, color).mean()


def test_an_evaluation_has_three_charts(tmp_path, evaluation):
    # A dollar sign in a name is not a formula.
    paths = charts.write_charts(evaluation, tmp_path / "figures", "my$data$set_1, 16 bits")
    assert [path.name for path in paths] == [
        "precision_recall.png",
        "precision_at.png",
        "distances.png",
    ]
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.width > 800
        assert share_of(path, style.BLUE) > 0.0005
    assert share_of(paths[2], style.ORANGE) > 0.0005
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)
    again = charts.write_charts(evaluation, tmp_path / "again", "my$data$set_1, 16 bits")
    for one, other in zip(paths, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_several_methods_share_a_chart_in_different_colors(tmp_path, evaluation):
    curve = evaluation.curves["precision_at"]
    lower = {"n": curve["n"], "precision": [value / 2 for value in curve["precision"]]}
    path = tmp_path / "precision_at.png"
    charts.write_precision_at({"DDH": curve, "LSH": lower}, path)
    assert share_of(path, style.LINES[0]) > 0.0005
    assert share_of(path, style.LINES[1]) > 0.0005


@pytest.mark.parametrize("count", [0, 7])
def test_a_chart_needs_at_least_one_curve_and_at_most_as_many_as_colors(
    tmp_path, evaluation, count
):
    curves = {str(number): evaluation.curves["precision_recall"] for number in range(count)}
    with pytest.raises(CodesError, match=f"1 to 6 curves, got {count}"):
        charts.write_precision_recall(curves, tmp_path / "chart.png")


def test_codes_of_one_bit_and_a_single_person_can_be_drawn(tmp_path):
    codes = np.zeros((3, 1), np.uint8)
    evaluation = evaluate(codes, codes, [1, 1, 1], [1, 1, 1], 1)
    for path in charts.write_charts(evaluation, tmp_path):
        assert path.stat().st_size > 5000


def test_a_figure_that_fails_leaves_the_old_file(tmp_path, evaluation, monkeypatch):
    path = tmp_path / "chart.png"
    path.write_bytes(b"old")

    def fail(self, file, **options):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        charts.write_precision_at({"": evaluation.curves["precision_at"]}, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["chart.png"]
    assert path.read_bytes() == b"old"


def test_the_name_of_a_figure_ends_in_png(tmp_path, evaluation):
    with pytest.raises(CodesError, match=r"chart.pdf: the name of a figure must end in \.png"):
        charts.write_precision_at({"": evaluation.curves["precision_at"]}, tmp_path / "chart.pdf")


def test_a_grid_frames_correct_images_green_and_wrong_ones_red(tmp_path):
    shares = {}
    for right in (True, False):
        path = tmp_path / f"{right}.png"
        arrays = grid_arrays() | {"right": np.full((2, 3), right)}
        write_retrieval_grid(**arrays, path=path, title="Queries", notes=["AP 0.90", "AP 0.10"])
        shares[right] = share_of(path, style.GREEN), share_of(path, style.DARK_RED)
    assert shares[True][0] > 0.01 > shares[True][1]
    assert shares[False][1] > 0.01 > shares[False][0]


def test_a_grid_shows_the_images_upright_and_in_their_places(tmp_path):
    arrays = grid_arrays(1, 2)
    arrays["queries"][:] = arrays["found"][:] = 255
    arrays["queries"][0, :4] = (255, 0, 255)  # the upper half
    arrays["found"][0, 1, :, 4:] = (0, 0, 255)  # the right half of the last image
    path = tmp_path / "grid.png"
    write_retrieval_grid(**arrays, path=path, title="")
    # Inches of 200 dots: the head is 0.86 high, an image 0.66 wide, the margin 0.21.
    rows, columns = np.nonzero(pixels_of(path, "#ff00ff"))
    assert rows.min() == pytest.approx(172, abs=8) and 172 < rows.max() < 172 + 66
    assert (columns.min(), columns.max()) == pytest.approx((42, 42 + 132), abs=8)
    rows, columns = np.nonzero(pixels_of(path, "#0000ff"))
    # Interpolated between 8 pixels, so that its left edge is soft.
    left = 200 * (0.21 + 2 * 0.78 + 0.26)
    assert (columns.min(), columns.max()) == pytest.approx((left + 66, left + 132), abs=20)
    assert rows.max() == pytest.approx(172 + 132, abs=8)


@pytest.mark.parametrize(
    "change",
    [
        {"right": np.zeros((2, 4), bool)},
        {"distances": np.zeros((1, 3), int)},
        {"queries": np.zeros((2, 9, 9, 3), np.uint8)},
        {"queries": np.zeros((2, 8, 8, 3))},
        {"found": np.zeros((2, 0, 8, 8, 3), np.uint8)},
        {"notes": ["one"]},
    ],
)
def test_a_grid_of_arrays_that_do_not_fit_is_refused(tmp_path, change):
    with pytest.raises(CodesError, match="a grid needs uint8 queries"):
        write_retrieval_grid(**(grid_arrays() | change), path=tmp_path / "grid.png", title="")


def test_drawing_leaves_no_trace_in_matplotlib(tmp_path, evaluation):
    before = dict(matplotlib.rcParams)
    charts.write_charts(evaluation, tmp_path)
    write_retrieval_grid(**grid_arrays(), path=tmp_path / "grid.png", title="Queries")
    assert dict(matplotlib.rcParams) == before
    code = "import sys, facehash.figures.grid; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
