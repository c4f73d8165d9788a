"""The page of a table, and the HTML tables on it."""

import re
from collections import Counter

import pytest

from experiments.table.charts import write_all_charts
from experiments.table.html_report import write_page
from experiments.table.published import Published
from experiments.table.summary import summarize
from tests.helpers.table_examples import TABLE, make_grid, make_reports

NOTHING = Published(sources={}, entries=[])
HOSTILE = '</title><script src="https://example.org/x.js"> & <b>'
ESCAPED = "&lt;/title&gt;&lt;script src=&quot;https://example.org/x.js&quot;&gt; &amp; &lt;b&gt;"


@pytest.fixture(scope="module")
def make_page(tmp_path_factory):
    def make(missing=(), figures=True, **changes):
        folder = tmp_path_factory.mktemp("page")
        grid = make_grid(folder, **changes)
        reports = {k: v for k, v in make_reports(grid).items() if k not in missing}
        summary = summarize(grid, reports)
        draw = write_all_charts if figures else lambda *_: []
        charts = draw(grid, summary, reports, folder / "figures")
        return write_page(summary, NOTHING, charts, folder / "faces.html")

    return make


def test_the_page_is_self_contained_with_tables_figures_and_environment(make_page):
    page = make_page(missing=["ddh-12-seen-s1"])
    ids = Counter(re.findall(r'\bid="([^"]*)"', page))
    assert max(ids.values()) == 1
    references = re.findall(r'\b(?:href|src|srcset|data)="([^"]*)"|url\(([^)]*)\)', page)
    for reference in map("".join, references):
        assert reference.startswith("#") and reference[1:] in ids, reference
    assert len(references) > 10
    assert not re.search("<script|<link|<img|<iframe|<object|@import|<[?]xml|<!DOCTYPE", page)
    assert page.startswith('<!doctype html><html lang="en">')
    assert page.count("<table>") == 2
    assert page.count("<svg ") == page.count("</svg>") == page.count("<figcaption>") == 7
    assert "Not measured yet: ddh-12-seen-s1." in page
    assert page.count("No published numbers for comparison") == 2
    assert "19 cells; tensorflow on cpu:0; Keras 3.12.0; commit 0123456789;" in page
    # 2 lengths, 2 protocols, 2 seeds of half an hour each; the baselines trained nothing.
    assert "4.0 hours of training" in make_page(figures=False)


def test_text_of_the_user_is_escaped(make_page):
    rows = [row | {"label": f"{row['label']} {HOSTILE}"} for row in TABLE["rows"]]
    changes = {"rows": rows, "title": HOSTILE, "note": f"note {HOSTILE}", "protocols": ["seen"]}
    page = make_page(figures=False, **changes)
    assert "<script" not in page
    for text in (f"<h1>{ESCAPED}</h1>", f"note {ESCAPED}", f"<td>DDH {ESCAPED}</td>"):
        assert text in page
