"""Make a table of results: ``python -m experiments.reproduce TABLE.yaml --data DIR``."""

import functools
import sys
from pathlib import Path
from typing import NoReturn

import typer

from data.loading import choose_loader
from experiments.table.charts import write_all_charts
from experiments.table.grid import Grid, load_grid
from experiments.table.html_report import write_page
from experiments.table.layout import latex, markdown
from experiments.table.published import Published, load_published
from experiments.table.reports import write_result
from experiments.table.run_cell import find_data
from experiments.table.schedule import run_cells
from experiments.table.summary import Reports, lacks_metrics, read_reports, summarize
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run
from facehash.errors import InputError
from facehash.files import file_lock, write_text

app = make_app("Make a table of results with every row and figure.")


@app.command()
def reproduce(
    table: Path = typer.Argument(help="YAML file, such as experiments/tables/pubfig83.yaml."),
    data: Path | None = typer.Option(None, help="Path of the data set; overrides FACEHASH_DATA."),
    jobs: int = typer.Option(1, min=1, help="Cells to run in parallel; they share the CPUs."),
    results: Path = typer.Option(Path("experiments/results"), help="Folder for the results."),
    runs: Path = typer.Option(Path("runs"), help="Folder for the run directories."),
    only: list[str] = typer.Option([], metavar="ROW", help="Measure only this row; repeatable."),
    write_only: bool = typer.Option(
        False, "--write-only", help="Measure nothing; write the results of the existing reports."
    ),
) -> int:
    """Measure the missing cells of a table, then write its JSON, Markdown, LaTeX, HTML and figures.

    Cells that have a report are skipped, so the same command continues after Ctrl-C or kill -9.

    Example: python -m experiments.reproduce experiments/tables/pubfig83.yaml --data DIR --jobs 2
    """
    grid = load_grid(table)
    published = load_published()
    rows = _check_rows(grid, only)
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
        folder = runs / grid.name
        folder.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, "-m", "experiments.table.run_cell", str(table)]
        options = ["--runs", str(runs), "--reports", str(results / "reports"), "--end-with-parent"]
        options += ["--data", str(data)] if data else []
        show = functools.partial(print, flush=True)
        with file_lock(folder / ".lock", str(folder)):
            failed = run_cells(
                missing,
                lambda cell: [*program, cell.name, *options],
                *(folder / "logs", jobs, show),
            )
        reports = read_reports(grid, results / "reports")
    written = write_results(grid, reports, results, published)
    counts = f"{len(reports)} of {len(grid.cells)} cells done"
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


def _check_rows(grid: Grid, only: list[str]) -> set[str]:
    known = {row.id for row in grid.config.rows}
    for row in only:
        if row not in known:
            raise InputError(f"--only {row}: {grid.path} has the rows {', '.join(sorted(known))}")
    return set(only) or known


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "experiments.reproduce")
