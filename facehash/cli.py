"""The `facehash` command: all its groups of commands."""

from __future__ import annotations

from typing import NoReturn

import typer

import facehash
from facehash.command_line import make_app, run
from facehash.commands import bench, encode, indexing, people, searching, upkeep, weights

app = make_app("Find, compare and search faces in photos, by codes or by embeddings.")
for group in (indexing, searching, people, upkeep, encode, bench):
    group.add_to(app)
app.add_typer(weights.app, name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"facehash {facehash.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of `facehash` itself."""


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "facehash")
