"""The committed table of unseen people is what its reports say, in every form."""

from experiments.table.grid import TABLES
from experiments.table.reports import read_result
from experiments.unseen.config import load_unseen_table
from experiments.unseen.layout import latex, markdown, write_page
from experiments.unseen.summary import read_reports, summarize
from tests.conftest import ROOT

RESULTS = ROOT / "experiments" / "results"


def test_results_and_documents_follow_from_the_committed_reports():
    table = load_unseen_table(TABLES / "unseen_people.yaml")
    summary = summarize(table, read_reports(table, RESULTS / "reports"))
    again = f"run: python -m experiments.reproduce {table.path} --write-only"
    path = RESULTS / "unseen_people.json"
    assert read_result(path) == summary, again
    assert path.with_suffix(".md").read_text(encoding="utf-8") == markdown(summary), again
    assert path.with_suffix(".tex").read_text(encoding="utf-8") == latex(summary), again
    names = ("map", "over_baseline")
    charts = [RESULTS / "figures" / "unseen_people" / f"{name}.png" for name in names]
    page = path.with_suffix(".html")
    assert page.read_text(encoding="utf-8") == write_page(summary, charts, page), again
    assert summary["missing"] == []
