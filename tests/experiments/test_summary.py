import json

import numpy as np
import pytest

from experiments.table.reports import ResultError, write_result
from experiments.table.summary import AUTHOR, METRICS, read_reports, summarize
from tests.helpers.table_examples import TABLE, make_grid, make_report, make_reports


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path)


def row_of(summary, row, protocol="seen", bits=12):
    [found] = [
        each
        for each in summary["rows"]
        if (each["row"], each["protocol"], each["bits"]) == (row, protocol, bits)
    ]
    return found


def test_a_number_is_the_mean_and_the_sample_deviation_over_seeds(tmp_path):
    grid = make_grid(tmp_path, seeds=[0, 1, 2], protocols=["seen"], bits=[12])
    cells = [cell for cell in grid.cells if cell.row.id == "ddh"]
    reports = {c.name: make_report(grid, c, (0.5, 0.6, 0.9)[c.seed]) for c in cells}
    row = row_of(summarize(grid, reports), "ddh")
    # mean 2.0 / 3; squares of deviations .0278 + .0044 + .0544, divided by 2
    assert row["metrics"]["mAP"]["mean"] == pytest.approx(2 / 3)
    assert row["metrics"]["mAP"]["std"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))
    assert row["metrics"]["P@r2"]["mean"] == pytest.approx(2 / 9)
    assert row["metrics_author"]["mAP"]["mean"] == pytest.approx(2 / 3)
    assert row["seeds"] == [0, 1, 2]


def test_one_seed_has_no_deviation_and_vectors_no_radius(grid):
    reports = make_reports(grid)
    alone = {name: report for name, report in reports.items() if name.endswith("s1")}
    row = row_of(summarize(grid, alone), "ddh")
    assert row["seeds"] == [1]
    assert row["metrics"]["mAP"] == {"mean": alone["ddh-12-seen-s1"]["metrics"]["mAP"], "std": None}
    row = row_of(summarize(grid, reports), "ddh_cosine", bits=None)
    missing = [name for name in METRICS if row["metrics"][name] is None]
    assert missing == ["P@r2", "R@r2", "empty@r2"]
    assert row["metrics_author"] == dict.fromkeys(AUTHOR)
    assert row["bytes_per_face"] == 2560


def test_rows_stand_in_the_order_of_the_table_even_if_the_first_seed_has_fewer_results(grid):
    reports = make_reports(grid)
    del reports["ddh-12-seen-s0"], reports["ddh_cosine-float-seen-s0"]
    del reports["ddh_cosine-float-seen-s1"]
    summary = summarize(grid, reports)
    assert summary["missing"] == [
        *("ddh-12-seen-s0", "ddh_cosine-float-seen-s0", "ddh_cosine-float-seen-s1")
    ]
    assert len(summary["cells"]) == len(grid.cells) - 3
    assert [(row["row"], row["protocol"], row["bits"]) for row in summary["rows"]] == [
        *[("ddh", protocol, bits) for protocol in ("seen", "unseen") for bits in (12, 24)],
        *[("ddh_lsh", protocol, bits) for protocol in ("seen", "unseen") for bits in (12, 24)],
        ("ddh_cosine", "unseen", None),
    ]
    assert [row["seeds"] for row in summary["rows"][:2]] == [[1], [0, 1]]


def test_every_number_keeps_what_it_was_made_with(grid):
    reports = make_reports(grid)
    summary = summarize(grid, reports)
    [cell] = [c for c in summary["cells"] if c["report"] == "faces-ddh_lsh-12-seen-s1.json"]
    report = reports["ddh_lsh-12-seen-s1"]
    assert cell["metrics"] == report["metrics"]
    assert cell["network"] == "ddh-24-seen-s1"
    assert (cell["seed"], cell["commit"], cell["backend"]) == (1, "0123456789abcdef", "tensorflow")
    assert cell["packages"] == {"keras": "3.12.0"}
    assert (summary["schema"], summary["table"], summary["title"]) == (1, "faces", TABLE["title"])
    assert summary["papers"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def write_reports(grid, folder):
    for cell in grid.cells:
        write_result(folder / cell.report_name, make_report(grid, cell))


def test_reports_are_those_of_cells_that_have_one(grid, tmp_path):
    folder = tmp_path / "reports"
    assert read_reports(grid, folder) == {}
    write_reports(grid, folder)
    (folder / grid.cells[3].report_name).unlink()
    (folder / "another.json").write_text("{}")
    assert read_reports(grid, folder).keys() == {c.name for c in grid.cells} - {grid.cells[3].name}
    # The path of the data and the backend are no part of the configuration.
    moved = {"set": ["dataset.path=elsewhere", "backend=jax"]}
    changed = make_grid(tmp_path, rows=[TABLE["rows"][0] | moved, *TABLE["rows"][1:]])
    assert len(read_reports(changed, folder)) == len(grid.cells) - 1


@pytest.mark.parametrize(
    "index, change, name, message",
    [
        (0, {"set": ["training.epochs=5"]}, "ddh", "training.epochs (was 200, now 5); delete it"),
        (1, {"baseline": "itq"}, "ddh_lsh", "baseline (was 'lsh', now 'itq')"),
    ],
)
def test_a_report_of_another_configuration_is_named(tmp_path, index, change, name, message):
    grid, folder = make_grid(tmp_path), tmp_path / "reports"
    write_reports(grid, folder)
    rows = [row | (change if i == index else {}) for i, row in enumerate(TABLE["rows"])]
    with pytest.raises(ResultError) as caught:
        read_reports(make_grid(tmp_path, rows=rows), folder)
    path = folder / f"faces-{name}-12-seen-s0.json"
    assert str(caught.value).startswith(f"{path}: measured with another configuration: ")
    assert message in str(caught.value)


def test_a_report_saved_under_another_cells_name_is_not_taken_for_it(grid, tmp_path):
    twelve, other = (
        next(c for c in grid.cells if (c.row.id, c.bits) == ("ddh_lsh", bits)) for bits in (12, 24)
    )
    write_result(tmp_path / other.report_name, make_report(grid, twelve))
    with pytest.raises(ResultError, match=r"codes \(was \(12, 0\), now \(24, 0\)\)"):
        read_reports(grid, tmp_path)
