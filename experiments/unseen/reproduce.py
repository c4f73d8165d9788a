"""Make a table of unseen people, see ``python -m experiments.reproduce``."""

import os
from pathlib import Path

from experiments.table.reports import write_result
from experiments.table.reproduce import check_rows, measure_cells, tell_outcome
from experiments.unseen.charts import write_charts
from experiments.unseen.config import UnseenTable, load_unseen_table
from experiments.unseen.layout import bars_table, latex, markdown, write_page
from experiments.unseen.run_cell import read_data
from experiments.unseen.summary import Reports, read_reports, summarize
from facehash.errors import InputError
from facehash.files import write_text

DATA = "vectors"
"""Name of the folder of vectors under FACEHASH_DATA."""


def make_unseen_table(
    path: Path,
    data: Path | None,
    jobs: int,
    results: Path,
    runs: Path,
    only: list[str],
    write_only: bool,
) -> int:
    """Measure the missing cells of a table and write its results; return the exit code.

    The arguments are those of ``python -m experiments.reproduce``.
    """
    table = load_unseen_table(path)
    rows = check_rows(path, [row.id for row in table.config.rows], only)
    reports = read_reports(table, results / "reports")
    missing = [cell for cell in table.cells if cell.row.id in rows and cell.name not in reports]
    failed: dict[str, str] = {}
    if missing and not write_only:
        folder = find_vectors(table, data)
        read_data(table, folder)  # an error is reported once, rather than in every cell
        program = ["-m", "experiments.unseen.run_cell", str(path)]
        options = ["--runs", str(runs), "--reports", str(results / "reports"), "--end-with-parent"]
        options += ["--data", str(folder)]
        failed = measure_cells(missing, program, options, runs / table.name, jobs)
        reports = read_reports(table, results / "reports")
    written = write_results(table, reports, results)
    return tell_outcome(len(reports), len(table.cells), failed, written)


def find_vectors(table: UnseenTable, data: Path | None) -> Path:
    """Return the folder of vectors: `data`, or ``vectors`` under FACEHASH_DATA.

    Raises:
        InputError: Neither is given, or a file of the table is not in it.
    """
    if data is None:
        parent = os.environ.get("FACEHASH_DATA")
        if not parent:
            raise InputError(
                f"{table.path}: the location of the vectors is unknown; pass --data DIR, or set "
                f"FACEHASH_DATA to the folder that contains {DATA}/"
            )
        data = Path(parent) / DATA
    for name in (table.config.train, table.config.judged, table.config.distractors):
        if not (data / name).is_file():
            raise InputError(f"{data / name} does not exist; {table.path} reads it")
    return data


def write_results(table: UnseenTable, reports: Reports, folder: Path) -> list[Path]:
    """Write the results of a table in every format, and print its bars; nothing without a report.

    Returns:
        The files and folders written.
    """
    if not reports:
        return []
    summary = summarize(table, reports)
    name = folder / table.name
    write_result(name.with_suffix(".json"), summary)
    write_text(name.with_suffix(".md"), markdown(summary))
    write_text(name.with_suffix(".tex"), latex(summary))
    figures = folder / "figures" / table.name
    charts = write_charts(summary, figures)
    page = name.with_suffix(".html")
    write_text(page, write_page(summary, charts, page))
    if summary["bars"]:
        print(bars_table(summary))
    return [name.with_suffix(suffix) for suffix in (".json", ".md", ".tex", ".html")] + [figures]
