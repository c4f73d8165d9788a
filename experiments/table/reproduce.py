"""Make a table of networks, see ``python -m experiments.reproduce``."""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.loading import choose_loader
from experiments.table.charts import write_all_charts
from experiments.table.grid import Grid, load_grid
from experiments.table.html_report import write_page
from experiments.table.layout import latex, markdown
from experiments.table.published import Published, load_published
from experiments.table.reports import write_result
from experiments.table.run_cell import find_data
from experiments.table.schedule import Cell, run_cells
from experiments.table.summary import Reports, lacks_metrics, read_reports, summarize
from facehash.command_line import DONE, PARTLY_FAILED
from facehash.errors import InputError
from facehash.files import file_lock, write_text


def make_table(
    table: Path,
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
    grid = load_grid(table)
    published = load_published()
    rows = check_rows(table, [row.id for row in grid.config.rows], only)
    reports = read_reports(grid, results / "reports")
    missing = [
        cell
        for cell in grid.cells
        if cell.row.id in rows
        and (cell.name not in reports or lacks_metrics(grid, reports[cell.name]))
    ]
    failed: dict[str, str] = {}
    if missing and not write_only:
        # A missing data set is reported once, rather than in every cell.
        faces = grid.settings(missing[0]).dataset
        choose_loader(faces.name, faces.loader, find_data(grid, missing[0], data))
        program = ["-m", "experiments.table.run_cell", str(table)]
        options = ["--runs", str(runs), "--reports", str(results / "reports"), "--end-with-parent"]
        options += ["--data", str(data)] if data else []
        failed = measure_cells(missing, program, options, runs / grid.name, jobs)
        reports = read_reports(grid, results / "reports")
    written = write_results(grid, reports, results, published)
    return tell_outcome(len(reports), len(grid.cells), failed, written)


def measure_cells(
    cells: Sequence[Cell],
    program: Sequence[str],
    options: Sequence[str],
    folder: Path,
    jobs: int,
) -> dict[str, str]:
    """Run ``python PROGRAM CELL OPTIONS`` for each cell, and return the failures by cell.

    Logs are written to `folder`, in which one table at a time is measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    show = functools.partial(print, flush=True)
    with file_lock(folder / ".lock", str(folder)):
        return run_cells(
            cells,
            lambda cell: [sys.executable, *program, cell.name, *options],
            *(folder / "logs", jobs, show),
        )


def tell_outcome(done: int, total: int, failed: Mapping[str, str], written: Sequence[Path]) -> int:
    """Print how many cells are done, what was written and what failed; return the exit code."""
    counts = f"{done} of {total} cells done"
    print(f"{counts}, {len(failed)} failed" if failed else counts)
    print("", "written:", *(f"  {path}" for path in written), sep="\n")
    for name, reason in failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    return PARTLY_FAILED if failed else DONE


def write_results(grid: Grid, reports: Reports, folder: Path, published: Published) -> list[Path]:
    """Write the results of a table in every format; nothing without any report.

    Returns:
        The files and folders written.
    """
    if not reports:
        return []
    summary = summarize(grid, reports)
    name = folder / grid.name
    write_result(name.with_suffix(".json"), summary)
    write_text(name.with_suffix(".md"), markdown(summary, published))
    write_text(name.with_suffix(".tex"), latex(summary, published))
    figures = folder / "figures" / grid.name
    charts = write_all_charts(grid, summary, reports, figures)
    page = name.with_suffix(".html")
    write_text(page, write_page(summary, published, charts, page))
    return [name.with_suffix(suffix) for suffix in (".json", ".md", ".tex", ".html")] + [figures]


def check_rows(table: Path, known: Sequence[str], only: Sequence[str]) -> set[str]:
    """Return the rows to measure: those of ``--only``, or all of a table.

    Raises:
        InputError: The table has no such row.
    """
    for row in only:
        if row not in known:
            raise InputError(f"--only {row}: {table} has the rows {', '.join(sorted(known))}")
    return set(only or known)
