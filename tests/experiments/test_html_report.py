"""The page of a table, and the HTML tables on it."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from experiments.table.charts import write_all_charts
from experiments.table.html_report import write_page
from experiments.table.published import Published
from experiments.table.summary import summarize
from tests.helpers.table_examples import TABLE, make_grid, make_reports

NOTHING = Published(sources={}, entries=[])
HOSTILE = '</title><script src="https://example.org/x.js"> & <b>'
EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Collects references, ids, tags, text and table rows; checks that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.references, self.ids, self.tags, self.open, self.words = [], [], [], [], []
        self.rows = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1] += [""] * int(dict(attributes).get("colspan", 1))
        self.handle_startendtag(tag, attributes)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.references.append(value)
            self.references += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


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


@pytest.fixture(scope="module")
def page(make_page):
    return make_page(missing=["ddh-12-seen-s1"])


def test_the_page_refers_to_nothing_outside_itself(page):
    parsed = Page(page)
    assert parsed.references
    for reference in parsed.references:
        assert reference.startswith("#"), reference
        assert reference[1:] in parsed.ids
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(parsed.tags)
    assert "@import" not in page
    ids = Counter(parsed.ids)
    assert len(ids) > 100
    assert max(ids.values()) == 1


def test_the_page_has_every_table_every_figure_and_the_environment(page):
    parsed = Page(page)
    assert parsed.tags.count("table") == 2
    assert parsed.tags.count("svg") == parsed.tags.count("figcaption") == 7
    assert page.startswith('<!doctype html><html lang="en">')
    assert page.count("<?xml") == page.count("<!DOCTYPE") == 0
    text = " ".join(parsed.words)
    assert "Not measured yet: ddh-12-seen-s1." in text
    assert text.count("No published numbers for comparison") == 2
    assert "19 cells; tensorflow on cpu:0; Keras 3.12.0; commit 0123456789;" in text


def test_hours_of_training_count_a_network_once(make_page):
    # 2 lengths, 2 protocols, 2 seeds of half an hour each; the baselines trained nothing.
    assert "4.0 hours of training" in make_page(figures=False)


def test_text_of_the_user_is_escaped_and_columns_have_groups(make_page):
    rows = [row | {"label": f"{row['label']} {HOSTILE}"} for row in TABLE["rows"]]
    text = make_page(
        figures=False, rows=rows, title=HOSTILE, note=f"note {HOSTILE}", protocols=["seen"]
    )
    parsed = Page(text)
    assert "script" not in parsed.tags
    assert {HOSTILE, f"note {HOSTILE}", f"DDH {HOSTILE}"} <= set(parsed.words)
    assert [len(row) for row in parsed.rows] == [14] * 7
    assert [name for name in parsed.rows[0] if name] == ["Hamming distance", "authors' packing"]
    assert parsed.rows[1][:5] == ["Method", "Bits", "Bytes", "Seeds", "mAP"]
    assert parsed.rows[2][0] == f"DDH {HOSTILE}"
    assert text.count('<tr class="first">') == 3  # a line above each method
