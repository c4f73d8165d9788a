"""The `facehash` command: all its groups of commands."""

from typing import NoReturn

import typer

import facehash
from facehash.command_line import make_app, renamed_options, run
from facehash.commands import (
    backup,
    bench,
    encode,
    engines,
    indexing,
    people,
    photos,
    searching,
    serving,
    upkeep,
    weights,
)

app = make_app("Find, compare and search faces in photos, by codes or by embeddings.")
app.command()(indexing.index)
app.command()(searching.search)
app.command()(searching.verify)
app.command()(photos.photos)
app.add_typer(people.app, name="people")
app.command(cls=renamed_options({"--again": "--allow-reindex"}))(upkeep.forget)
app.command()(backup.backup)
app.command()(backup.restore)
for command in (upkeep.check, upkeep.rebuild, upkeep.export, upkeep.stats, encode.encode):
    app.command()(command)
app.command(cls=renamed_options({"--shortlist": "--rerank"}))(bench.bench)
app.add_typer(engines.app, name="engine")
app.command()(serving.serve)
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
