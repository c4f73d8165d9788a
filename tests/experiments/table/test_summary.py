import json

import numpy as np
import pytest

from experiments.table.reports import ResultError, write_result
from experiments.table.summary import read_reports, summarize
from tests.helpers.table_examples import TABLE, make_grid, make_report, make_reports


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path)


def test_a_number_is_the_mean_and_the_sample_deviation_over_seeds(tmp_path):
    grid = make_grid(tmp_path, seeds=[0, 1, 2], protocols=["seen"], bits=[12])
    cells = [cell for cell in grid.cells if cell.row.id == "ddh"]
    reports = {c.name: make_report(grid, c, (0.5, 0.6, 0.9)[c.seed]) for c in cells}
    row = summarize(grid, reports)["rows"][0]
    assert row["row"] == "ddh"
    # mean 2.0 / 3; squares of deviations .0278 + .0044 + .0544, divided by 2
    assert row["metrics"]["mAP"]["mean"] == pytest.approx(2 / 3)
    assert row["metrics"]["mAP"]["std"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))
    assert row["metrics"]["P@r2"]["mean"] == pytest.approx(2 / 9)
    assert row["metrics_author"]["mAP"]["mean"] == pytest.approx(2 / 3)
    assert row["seeds"] == [0, 1, 2]


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


def test_reports_are_those_of_cells_that_have_one(grid, tmp_path):
    folder = tmp_path / "reports"
    assert read_reports(grid, folder) == {}
    for cell in grid.cells:
        write_result(folder / cell.report_name, make_report(grid, cell))
    (folder / grid.cells[3].report_name).unlink()
    (folder / "another.json").write_text("{}")
    assert read_reports(grid, folder).keys() == {c.name for c in grid.cells} - {grid.cells[3].name}
    # The path of the data and the backend are no part of the configuration.
    moved = {"set": ["dataset.path=elsewhere", "backend=jax"]}
    changed = make_grid(tmp_path, rows=[TABLE["rows"][0] | moved, *TABLE["rows"][1:]])
    assert len(read_reports(changed, folder)) == len(grid.cells) - 1


def test_the_statistics_of_batch_norm_are_marked_in_a_table_rather_than_refused(grid, tmp_path):
    cell = grid.cells[0]
    report = make_report(grid, cell)
    assert report["cell"]["config"].pop("training.reestimate_statistics") is True
    write_result(tmp_path / cell.report_name, report)  # as of version 0.1.0
    assert read_reports(grid, tmp_path) == {cell.name: report}


def test_a_report_saved_under_another_cells_name_is_not_taken_for_it(grid, tmp_path):
    twelve, other = (
        next(c for c in grid.cells if (c.row.id, c.bits) == ("ddh_lsh", bits)) for bits in (12, 24)
    )
    write_result(tmp_path / other.report_name, make_report(grid, twelve))
    with pytest.raises(ResultError, match=r"codes \(was \(12, 0\), now \(24, 0\)\)"):
        read_reports(grid, tmp_path)
