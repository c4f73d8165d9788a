"""Convert a data set once, ahead of training: ``python -m data.prepare NAME --source DIR``."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

import numpy as np
import typer

from data.cache import cache_path
from data.faces import LabeledImages
from data.loading import LOADERS, load_faces
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run

EXPECTED = {
    "youtube_faces": (1595, 63_800, 7_975),
    "facescrub": (530, 67_177, 2_650),
}
"""People, training images and query images of the papers' data sets."""

log = logging.getLogger(__name__)

app = make_app("Convert a data set ahead of training.")


@app.command()
def prepare(
    name: str = typer.Argument(help="youtube_faces, facescrub, lfw, or a name of your own."),
    source: Path = typer.Option(help="The folder or file to convert."),
    cache: Path | None = typer.Option(
        None, help="Folder for the result; by default FACEHASH_CACHE or the user's cache folder."
    ),
    side: int = typer.Option(32, min=8, help="Height and width of the images, in pixels."),
    loader: str | None = typer.Option(
        None, help=f"{', '.join(LOADERS)}; by default chosen by name and by what the source is."
    ),
) -> int:
    """Convert a data set to the one file that training opens, and count what is in it.

    Example: python -m data.prepare youtube_faces --source DIR
    """
    faces = load_faces(name, loader=loader, source=source, side=side, cache=cache)
    _print_counts(name, faces)
    kept = cache_path(cache, name, side, source)
    if kept.exists():
        print(f"kept in    {kept}")
    # Training looks in the usual place only; a cache elsewhere is handed to it as the data.
    found = kept if cache is not None and kept.exists() else source
    config = Path("configs", "ddh", f"{name}.yaml")
    shown = config if config.exists() else "CONFIG"
    print(f"train with python train.py {shown} --data {shlex.quote(str(found))}")
    return PARTLY_FAILED if faces.unreadable else DONE


def _print_counts(name: str, faces: LabeledImages) -> None:
    queries = 0 if faces.is_query is None else int(faces.is_query.sum())
    counts = {
        "identities": len(np.unique(faces.labels)),
        "train": len(faces.labels) - queries,
        "query": queries,
    }
    if faces.is_query is None:
        counts = {"identities": counts["identities"], "images": len(faces.labels)}
    expected = dict(zip(counts, EXPECTED[name], strict=True)) if name in EXPECTED else {}
    if faces.unreadable:
        counts["unreadable"] = len(faces.unreadable)
    for role, count in counts.items():
        beside = f"  expected {expected[role]:>7,}" if role in expected else ""
        print(f"{role:<10} {count:>7,}{beside}")
    wrong = [role for role, count in expected.items() if counts[role] != count]
    if wrong:
        log.warning(
            "warning: not the papers' %s: other counts of %s; scores will not compare with theirs",
            name,
            " and ".join(wrong),
        )


def main() -> None:
    """Run the command."""
    run(app, "python -m data.prepare")


if __name__ == "__main__":
    main()
