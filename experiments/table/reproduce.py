"""Make a table of results: ``python -m experiments.reproduce TABLE.yaml --data DIR``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

from data.loading import choose_loader
from experiments.table.charts import write_all_charts
from experiments.table.grid import Cell, Grid, load_grid
from experiments.table.html_report import write_page
from experiments.table.layout import latex, markdown
from experiments.table.live import shown
from experiments.table.live import summary as progress_line
from experiments.table.published import Published, load_published
from experiments.table.reports import write_sealed
from experiments.table.run_cell import find_data
from experiments.table.schedule import Progress, run_cells
from experiments.table.summary import Reports, read_reports, summarize
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run
from facehash.errors import InputError
from facehash.files import file_lock, write_text

app = make_app("Make a table of results, every row of it, and its figures.")


@app.command()
def reproduce(
    table: Path = typer.Argument(help="YAML file, such as experiments/tables/pubfig83.yaml."),
    data: Path | None = typer.Option(None, help="Where the data set is; wins over FACEHASH_DATA."),
    jobs: int = typer.Option(1, min=1, help="Cells side by side; they share the processors."),
    results: Path = typer.Option(Path("experiments/results"), help="Folder of what is written."),
    runs: Path = typer.Option(Path("runs"), help="Folder of run directories, one a table in it."),
    only: list[str] = typer.Option([], metavar="ROW", help="Measure only these rows."),
    write_only: bool = typer.Option(
        False, "--write-only", help="Measure nothing: write what the reports there are say."
    ),
) -> int:
    """Measure what is missing of a table, then write its JSON, Markdown, LaTeX, HTML and figures.

    A cell with a report is skipped; the same command goes on after Ctrl-C or kill -9.

    Example: python -m experiments.reproduce experiments/tables/pubfig83.yaml --data DIR --jobs 2
    """
    grid = load_grid(table)
    published = load_published()
    rows = _check_rows(grid, only)
    reports = read_reports(grid, results / "reports")
    wanted = [cell for cell in grid.cells if cell.name not in reports and cell.row.id in rows]
    if write_only:
        wanted = []
    progress = Progress(
        cells=tuple(cell for cell in grid.cells if cell.name in reports or cell in wanted),
        states={cell.name: "waiting" for cell in wanted} | dict.fromkeys(reports, "done"),
        jobs=jobs,
    )
    if wanted:
        _check_data(grid, wanted, data)
        folder = runs / grid.name
        folder.mkdir(parents=True, exist_ok=True)
        _note_known_seconds(progress, reports)
        with (
            file_lock(folder / ".lock", str(folder)),
            shown(grid.config.title, Console()) as observe,
        ):
            run_cells(progress, _command(table, data, runs, results), folder / "logs", observe)
        reports = read_reports(grid, results / "reports")
    written = write_results(grid, reports, results, published)
    print(progress_line(progress), "", "written:", *(f"  {path}" for path in written), sep="\n")
    failed = [name for name, state in progress.states.items() if state == "failed"]
    for name in failed:
        print(f"failed: {name}: {progress.reasons[name]}", file=sys.stderr)
    return PARTLY_FAILED if failed else DONE


def write_results(grid: Grid, reports: Reports, folder: Path, published: Published) -> list[Path]:
    """Write a table's results in every form; nothing of a table without any report.

    Returns:
        The files and folders written.
    """
    if not reports:
        return []
    summary = summarize(grid, reports)
    name = folder / grid.name
    write_sealed(name.with_suffix(".json"), summary)
    write_text(name.with_suffix(".md"), markdown(summary, published))
    write_text(name.with_suffix(".tex"), latex(summary, published))
    figures = folder / "figures" / grid.name
    charts = write_all_charts(grid, summary, reports, figures)
    page = name.with_suffix(".html")
    write_text(page, write_page(summary, published, charts, page))
    return [name.with_suffix(suffix) for suffix in (".json", ".md", ".tex", ".html")] + [figures]


def _check_rows(grid: Grid, only: list[str]) -> set[str]:
    known = {row.id for row in grid.config.rows}
    for row in only:
        if row not in known:
            raise InputError(f"--only {row}: {grid.path} has the rows {', '.join(sorted(known))}")
    return set(only) or known


def _check_data(grid: Grid, wanted: list[Cell], data: Path | None) -> None:
    """Refuse a missing data set once, rather than in every cell."""
    faces = grid.settings(wanted[0]).dataset
    choose_loader(faces.name, faces.loader, find_data(grid, wanted[0], data))


def _note_known_seconds(progress: Progress, reports: Reports) -> None:
    for cell in progress.cells:
        if cell.name in reports and cell.network is None:
            progress.note_seconds(cell, reports[cell.name]["cell"]["train_seconds"])


def _command(
    table: Path, data: Path | None, runs: Path, results: Path
) -> Callable[[Cell], list[str]]:
    """Return how a cell is measured in a process of its own."""
    options = ["--runs", str(runs), "--reports", str(results / "reports"), "--end-with-parent"]
    if data is not None:
        options += ["--data", str(data)]

    def command(cell: Cell) -> list[str]:
        return [sys.executable, "-m", "experiments.table.run_cell", str(table), cell.name, *options]

    return command


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "experiments.reproduce")
