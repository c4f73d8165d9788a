import numpy as np
import pytest
from PIL import Image

from facehash.codes import CodesError, packed_from_bits
from facehash.figures import charts, learning_curve, style
from facehash.figures.grid import write_retrieval_grid
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.verification import verify_pairs


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
    names = ["precision_recall.png", "precision_at.png", "distances.png"]
    assert [path.name for path in paths] == names
    for path in paths:
        assert Image.open(path).width > 800
        assert share_of(path, style.BLUE) > 0.0005
    assert share_of(paths[2], style.ORANGE) > 0.0005


def test_a_verification_is_a_curve_of_tar_over_far(tmp_path, evaluation):
    curve = verify_pairs(evaluation.pairs).as_json()["curve"]
    charts.write_roc({"": curve}, tmp_path / "verification.png", "orl, 16 bits")
    assert Image.open(tmp_path / "verification.png").width > 800
    assert share_of(tmp_path / "verification.png", style.BLUE) > 0.0005
    alone = {"far": [0.0, 0.0], "tar": [0.5, 1.0]}  # a single person
    charts.write_roc({"": alone}, tmp_path / "alone.png")


def history(epochs, **columns):
    """Rows of a history.csv whose loss and accuracy are halved and raised every epoch."""
    names = {"cross_entropy": 3.0, "loss": 3.2, **columns}
    rows = np.arange(epochs)
    return [
        {"epoch": row + 1, "accuracy": 1 - 0.5**row}
        | {name: first * 0.5**row for name, first in names.items()}
        for row in rows
    ]


def test_a_learning_curve_shows_loss_terms_accuracy_validation_and_the_kept_epoch(tmp_path):
    validation = {"val_loss": 3.5, "val_accuracy": 0.9}
    rows = history(6, center=0.1, weight_decay=0.0, **validation)
    path = tmp_path / "figures" / "curve.png"
    checkpoints = [{"epoch": 2, "mAP": 0.3}, {"epoch": 4, "mAP": 0.5}]
    drawn = {}
    save = learning_curve.save

    def spy(figure, path):
        for axes in figure.axes:
            lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
            drawn.update(lines)
        assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
        save(figure, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_curve, "save", spy)
        learning_curve.write_learning_curve(rows, path, "orl", kept=5, checkpoints=checkpoints)
    named = {label for label in drawn if not label.startswith("_")}
    # A term that is 0 throughout has no place on a logarithmic axis.
    assert named == {
        "loss", "loss, validation", "cross entropy", "center", "kept: epoch 5",
        "accuracy", "accuracy, validation", "mAP, validation",
    }  # fmt: skip
    np.testing.assert_allclose(drawn["loss"], [(row["epoch"], row["loss"]) for row in rows])
    np.testing.assert_allclose(drawn["mAP, validation"], [(2, 0.3), (4, 0.5)])
    assert Image.open(path).width > 800


def test_a_learning_curve_of_one_epoch_is_drawn_and_of_none_refused(tmp_path):
    learning_curve.write_learning_curve(history(1), tmp_path / "curve.png")
    assert share_of(tmp_path / "curve.png", style.BLUE) > 0
    with pytest.raises(CodesError, match="at least one epoch"):
        learning_curve.write_learning_curve([], tmp_path / "curve.png")


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
    "change", [{"right": np.zeros((2, 4), bool)}, {"queries": np.zeros((2, 8, 8, 3))}]
)
def test_a_grid_of_arrays_that_do_not_fit_is_refused(tmp_path, change):
    with pytest.raises(CodesError, match="a grid needs uint8 queries"):
        write_retrieval_grid(**(grid_arrays() | change), path=tmp_path / "grid.png", title="")


def test_a_chart_needs_a_curve_and_few_bits_have_no_radius_to_mark(tmp_path):
    with pytest.raises(CodesError, match="a chart has 1 to"):
        charts.write_precision_recall({}, tmp_path / "empty.png")
    curve = {"recall": [0.5, 1.0], "precision": [1.0, 0.5]}
    charts.write_precision_recall({"one bit": curve}, tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
