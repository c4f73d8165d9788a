"""The committed results of tables are what their reports say, in every form."""

import pytest

from experiments.table.grid import TABLES, load_grid, read_table
from experiments.table.html_report import write_page
from experiments.table.layout import latex, markdown
from experiments.table.published import load_published
from experiments.table.reports import read_result
from experiments.table.summary import read_reports, summarize
from tests.conftest import ROOT

RESULTS = ROOT / "experiments" / "results"
COMMITTED = sorted(
    path.stem
    for path in TABLES.glob("*.yaml")
    if (RESULTS / f"{path.stem}.json").exists() and "kind" not in read_table(path)
)


def test_pubfig83_is_among_them():
    assert "pubfig83" in COMMITTED


@pytest.mark.parametrize("name", COMMITTED)
def test_results_follow_from_the_committed_reports(name):
    grid = load_grid(TABLES / f"{name}.yaml")
    summary = summarize(grid, read_reports(grid, RESULTS / "reports"))
    assert read_result(RESULTS / f"{name}.json") == summary, (
        f"run: python -m experiments.reproduce experiments/tables/{name}.yaml --write-only"
    )


@pytest.mark.parametrize("name", COMMITTED)
def test_documents_follow_from_the_committed_results(name):
    summary, published = read_result(RESULTS / f"{name}.json"), load_published()
    assert (RESULTS / f"{name}.md").read_text(encoding="utf-8") == markdown(summary, published)
    assert (RESULTS / f"{name}.tex").read_text(encoding="utf-8") == latex(summary, published)
    charts = [RESULTS / "figures" / name / f"{stem}.png" for stem in ("map", "ties", "packing")]
    page = RESULTS / f"{name}.html"
    made = write_page(summary, published, charts, page)
    # The tables, up to the figures: the page holds all of those, this one three.
    assert page.read_text(encoding="utf-8").startswith(made[: made.index("<h2>Figures")])
