"""Make a table of results: ``python -m experiments.reproduce TABLE.yaml --data DIR``."""

from pathlib import Path

import typer

from experiments.table.grid import read_table
from experiments.table.reproduce import make_table
from experiments.unseen.config import KIND
from experiments.unseen.reproduce import make_unseen_table
from facehash.command_line import make_app, run

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
    make = make_unseen_table if read_table(table).get("kind") == KIND else make_table
    return make(table, data, jobs, results, runs, only, write_only)


if __name__ == "__main__":
    run(app, "experiments.reproduce")
