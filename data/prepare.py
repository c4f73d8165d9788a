"""Convert a data set before training: ``python -m data.prepare NAME --source DIR``."""

import logging
from pathlib import Path

import numpy as np
import typer

from data.cache import cache_path
from data.conversion import SourceError
from data.duplicates import count_in_images, describe_duplicates
from data.labeled_images import LabeledImages, Role
from data.loading import LOADERS, load_images
from facehash.command_line import DONE, PARTLY_FAILED, make_app, run
from facehash.config import DatasetConfig
from facehash.printing import printable, quoted

EXPECTED = {"youtube_faces": (1595, 63_800, 7_975), "facescrub": (530, 67_177, 2_650)}
"""Numbers of people, training images and query images in the papers."""

log = logging.getLogger(__name__)

app = make_app("Convert a data set before training.")


@app.command()
def prepare(
    name: str = typer.Argument(help="youtube_faces, facescrub, lfw, or any name of your own."),
    source: Path = typer.Option(help="The folder or file to convert."),
    cache: Path | None = typer.Option(
        None, help="Folder for the result; default: FACEHASH_CACHE or the user's cache folder."
    ),
    side: int = typer.Option(
        32, min=8, max=1024, help="Height and width of the images, in pixels."
    ),
    loader: str | None = typer.Option(
        None, help=f"{', '.join(LOADERS)}; default: chosen by the name and the source."
    ),
) -> int:
    """Convert a data set to the file that training opens, and print its counts.

    Example: python -m data.prepare youtube_faces --source DIR
    """
    if not name:
        raise SourceError("the name of the data set is empty")
    config = DatasetConfig(name=name, loader=loader, side=side)
    faces = load_images(config, source, cache)
    _print_counts(name, faces)
    copies = count_in_images(faces)
    seen = describe_duplicates(copies)
    hint = f"  {seen}; dataset.duplicates: drop removes them" if seen else ""
    print(f"duplicates {copies['same_person'] + copies['across_people']:>7,}{hint}")
    kept = cache_path(cache, name, side, source)
    if kept.exists():
        print(f"stored in  {printable(kept)}")
    # Training looks in the default folder only; any other cache is passed to it as the data.
    found = kept if cache is not None and kept.exists() else source
    file = Path("configs", "ddh", f"{name}.yaml")
    shown = quoted(file) if file.exists() else "CONFIG"
    print(f"train it with: python train.py {shown} --data {quoted(found)}")
    return PARTLY_FAILED if faces.unreadable or faces.passed_over.has_pictures else DONE


def _print_counts(name: str, faces: LabeledImages) -> None:
    counts = {"identities": len(np.unique(faces.labels))}
    if faces.roles is None:
        counts["images" if faces.vectors is None else "vectors"] = len(faces.labels)
    else:
        for role in Role if faces.has_gallery_apart else (Role.TRAIN, Role.QUERY):
            counts[str(role.name).lower()] = int(np.count_nonzero(faces.roles & role))
    roles = ("identities", "train", "query")
    expected = dict(zip(roles, EXPECTED[name], strict=True)) if name in EXPECTED else {}
    if faces.unreadable:
        counts["unreadable"] = len(faces.unreadable)
    for what, count in counts.items():
        beside = f"  expected {expected[what]:>7,}" if what in expected else ""
        print(f"{what:<10} {count:>7,}{beside}")
    wrong = [what for what, count in expected.items() if counts.get(what) != count]
    if wrong:
        log.warning(
            "warning: this is not the %s of the papers: the numbers of %s differ, so scores are "
            "not comparable with theirs",
            *(name, " and ".join(wrong)),
        )


def main() -> None:
    """Run the command."""
    run(app, "python -m data.prepare")


if __name__ == "__main__":
    main()
