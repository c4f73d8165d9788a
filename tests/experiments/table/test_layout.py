"""Tables in Markdown and LaTeX from a summary; HTML is tested with its page."""

import re

import pytest

from experiments.table import layout
from experiments.table.published import Published
from experiments.table.summary import summarize
from tests.helpers.table_examples import TABLE, make_grid, make_reports, make_summary

HOSTILE = r"""<script>alert("x")</script> & 50% |_{}#$^~\ 'n' * – ±"""
NOTHING = Published(sources={}, entries=[])
PAPERS = {"gallery": 2800, "query": 1200}


def published_for(dataset, **change):
    """A number beside DDH at 12 bits, and a less sure one at 24."""
    numbers = {"12": {"value": 0.054, "within": 0.005}, "24": {"value": 0.3, "within": None}}
    source = {"work": "Some et al.", "place": "table 2", "page": "7", "how": "printed there"}
    entry = {"method": "DDQH", "row": "ddh", "dataset": dataset, "protocol": "seen"}
    entry |= {"metric": "P@r2", "distance": "hamming", "source": "some", "bits": numbers}
    other = entry | {"dataset": "elsewhere", "source": "other"}
    sources = {"some": source, "other": source | {"work": "Others"}}
    return Published.model_validate({"sources": sources, "entries": [entry | change, other]})


@pytest.fixture
def summary(tmp_path):
    return make_summary(tmp_path)


def cells_of(line):
    """The entries of a line of a Markdown table; an escaped bar separates nothing."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def test_a_markdown_table_has_a_line_for_each_row_and_a_cell_for_each_column(summary):
    head, rule, *lines = layout.markdown_table(summary, NOTHING, "seen").splitlines()
    assert cells_of(head) == [
        *("Method", "Bits", "Bytes", "Seeds", "mAP", "By tie order", "P@r2", "R@r2", "empty@r2"),
        *("P@50", "R-precision", "mAP*", "P@r2*", "R@r2*"),
    ]
    assert set(cells_of(rule)) == {"---"}
    assert [" ".join(cells_of(line)[:4]) for line in lines] == [
        *("DDH 12 2 2", "DDH 24 3 2", "LSH 12 2 2", "LSH 24 3 2", "cosine float 2,560 2")
    ]
    # made up: .3 + .12 + 0 and .02 of the seeds, so mean .43 and deviation .02 / sqrt 2
    assert cells_of(lines[0])[4:7] == ["0.430 ± 0.014", "0.410 to 0.460", "0.143 ± 0.005"]
    # vectors have no ball, and no packing
    assert [i for i, text in enumerate(cells_of(lines[4])) if text == "–"] == [6, 7, 8, 11, 12, 13]


def test_a_table_that_asks_for_k_has_a_column_for_each_denominator(tmp_path):
    summary = make_summary(tmp_path, at=[5, 50])
    head, _, *lines = layout.markdown_table(summary, NOTHING, "seen").splitlines()
    names = [f"mAP@{k}/{d}" for k in (5, 50) for d in ("relevant", "min", "found")]
    assert cells_of(head)[11:17] == names
    assert all(cells_of(line)[11:17] == ["–"] * 6 for line in lines)  # made up without them
    summary["rows"][0]["metrics"]["mAP@5/min"] = {"mean": 0.25, "std": None}
    assert cells_of(layout.markdown_table(summary, NOTHING, "seen").splitlines()[2])[12] == "0.250"
    assert "mAP@50/found" in layout.latex(summary, NOTHING)


def with_other_distances(folder):
    """Summarize the table; some reports have the asymmetric distance, one of them recentred."""
    grid = make_grid(folder)
    reports = make_reports(grid)
    for cell in grid.cells:
        report = reports[cell.name]
        if cell.row.id == "ddh" and cell.protocol == "seen":
            score = report["metrics"]["mAP"] + 0.1
            report["metrics_asymmetric"] = {"mAP": score, "mAP_lower": score, "mAP_upper": score}
            report["recentred"] = None
        if cell.name == "ddh-12-seen-s1":
            report["recentred"] = {"mAP": 0.25, "P@r2": 0.5}
    return summarize(grid, reports)


def test_the_asymmetric_distance_has_a_column_where_reports_have_it(tmp_path):
    summary = with_other_distances(tmp_path)
    head, _, *lines = layout.markdown_table(summary, NOTHING, "seen").splitlines()
    names = ["mAP, asymmetric", "mAP, recentred"]
    assert cells_of(head)[11:14] == [*names, "mAP*"]
    # .43 + .1; the second seed alone is recentred
    assert cells_of(lines[0])[11:13] == ["0.530 ± 0.014", "0.250"]
    assert [cells_of(line)[11] for line in lines[2:]] == ["–"] * 3
    assert [cells_of(line)[12] for line in lines[1:]] == ["–"] * 4
    assert not any(name in layout.markdown_table(summary, NOTHING, "unseen") for name in names)
    assert layout.markdown(summary, NOTHING).count("float projections of a query") == 1
    text = layout.latex(summary, NOTHING)
    assert "mAP, asymmetric & mAP, recentred" in text and text.count("float projections of") == 1
    page = layout.html_table(summary, NOTHING, "seen")
    assert '<th colspan="1">asymmetric</th><th colspan="1">recentred</th>' in page
    row = layout.rows_of(summary, "seen")[0]
    assert row["metrics_asymmetric"]["mAP"]["mean"] == pytest.approx(0.53)
    assert row["recentred"]["mAP"] == {"mean": 0.25, "std": None}
    assert "metrics_asymmetric" not in summary["rows"][-1]


def test_published_numbers_stand_beside_ours_where_data_and_protocol_match(tmp_path):
    summary = make_summary(tmp_path, papers=PAPERS)
    published = published_for("orl")
    head, _, *lines = layout.markdown_table(summary, published, "seen").splitlines()
    assert cells_of(head)[-1] == "Published P@r2"
    assert [cells_of(line)[-1] for line in lines] == ["0.054", "~0.300", "–", "–", "–"]
    assert "Published" not in layout.markdown_table(summary, published, "unseen")
    note = layout.published_note(summary, published, "seen")
    assert note == "Published: Some et al., table 2, printed there."
    published = published_for("orl", metric="mAP", distance="authors")
    head, _, first, *_ = layout.markdown_table(summary, published, "seen").splitlines()
    assert (cells_of(head)[-1], cells_of(first)[-1]) == ("Published mAP*", "0.054")
    assert "published, authors&#x27; packing</th>" in layout.html_table(summary, published, "seen")


def test_a_latex_table_is_complete(summary):
    text = layout.latex(summary, NOTHING)
    begun = re.findall(r"\\begin\{([a-z*]+)\}", text)
    assert begun == ["table*", "tabular"] * 2
    assert sorted(re.findall(r"\\end\{([a-z*]+)\}", text)) == sorted(begun)
    columns = re.search(r"\\begin\{tabular\}\{(l?r*)\}", text)[1]
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 2 * (1 + 5)
    assert {len(re.split(r"(?<!\\)&", line)) for line in body} == {len(columns)} == {14}
    assert r"0.430 $\pm$ 0.014" in text


def test_a_label_cannot_break_a_table_in_markdown_or_latex(tmp_path):
    rows = [TABLE["rows"][0] | {"label": HOSTILE}, *TABLE["rows"][1:]]
    summary = make_summary(tmp_path, rows=rows, title=HOSTILE, note=f"{HOSTILE}\n\n{HOSTILE}")
    lines = layout.markdown_table(summary, NOTHING, "seen").splitlines()
    assert {len(cells_of(line)) for line in lines} == {14}
    text = layout.latex(summary, NOTHING)
    assert r"$<$script$>$" in text
    assert r"\& 50\% |\_\{\}\#\$\textasciicircum{}$\sim$\textbackslash{} 'n' $^*$ -- $\pm$" in text
    assert "\n\n" not in text  # an empty line ends the paragraph, which a caption does not survive
    assert all(line.count("{") == line.count("}") for line in text.splitlines())
    assert text.isascii()


def with_statistics(folder, states):
    """Summarize the table, with the state of each network's statistics by row and seed."""
    grid = make_grid(folder)
    reports = make_reports(grid)
    for cell in grid.cells:
        if state := states.get((cell.row.id, cell.seed)):
            reports[cell.name]["training"] = {"batch_statistics": state, "accuracy": {}}
    return summarize(grid, reports)


def test_rows_whose_statistics_were_made_otherwise_are_marked(tmp_path):
    old = with_statistics(tmp_path, {})
    assert old == with_statistics(tmp_path, {("ddh", 0): "moving"})  # what no entry means
    assert layout.statistics_note(old) == ""
    states = {("ddh", 0): "reestimated", ("ddh", 1): "reestimated", ("ddh_lsh", 0): "reestimated"}
    mixed = with_statistics(tmp_path, states)
    lines = layout.markdown_table(mixed, NOTHING, "seen").splitlines()[2:]
    labels = [cells_of(line)[0] for line in lines]
    assert labels == ["DDH†", "DDH†", "LSH‡", "LSH‡", "cosine"]
    document = layout.markdown(mixed, NOTHING)
    assert document.count("in rows without a mark they are moving averages") == 2  # protocols
    assert document.count("‡ Estimated for some seeds") == 2
    assert r"DDH$^\dagger$ & 12" in layout.latex(mixed, NOTHING)
    assert "in rows without a mark" in layout.latex(mixed, NOTHING)
    assert "<td>LSH‡</td>" in layout.html_table(mixed, NOTHING, "seen")


def test_a_table_made_in_one_way_says_so_without_marks(tmp_path):
    rows = ("ddh", "ddh_lsh", "ddh_cosine")
    states = {(row, seed): "reestimated" for row in rows for seed in (0, 1)}
    summary = with_statistics(tmp_path, states)
    assert "†" not in layout.markdown(summary, NOTHING)
    assert "are estimated from the training images." in layout.markdown(summary, NOTHING)
