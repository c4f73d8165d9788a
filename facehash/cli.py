"""The `facehash` command: its groups, put together."""

from __future__ import annotations

from typing import NoReturn

from facehash.command_line import make_app, run
from facehash.commands import bench, encode, indexing, keeping, people, searching, weights

app = make_app("Find, compare and search faces in photos, by codes or by embeddings.")
for room in (indexing, searching, people, keeping):
    room.add_to(app)
app.command()(encode.encode)
app.command()(bench.bench)
app.add_typer(weights.app, name="weights")


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "facehash")
