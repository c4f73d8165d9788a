"""``facehash encode``: the codes of the faces in photos."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED
from facehash.commands.arguments import WeightsOption
from facehash.errors import InputError
from facehash.printing import printable

if TYPE_CHECKING:
    from facehash.pipeline import FacePipeline

log = logging.getLogger(__name__)


def encode(
    model: str = typer.Argument(
        metavar="MODEL",
        help="A run (its directory, run:DIR or run:FILE.keras) or a library with codes.",
    ),
    photos: list[Path] = typer.Argument(metavar="PHOTO", help="Picture files."),
    detector: str | None = typer.Option(
        None,
        help="yunet, haar, or whole for pictures that are already face crops. Default: yunet, or "
        "the library's detector.",
    ),
    weights_dir: WeightsOption = None,
) -> int:
    """Print the code of each face: photo, face number, hexadecimal, bits; separated by tabs.

    Faces are numbered from 1, largest first. Bits are printed from first to last. The hexadecimal
    shows the packed bytes, with bit 0 the lowest bit of the first byte. The codes of a library are
    those of its run, or those that --codes made of its vectors.

    Example: facehash encode runs/quickstart-48-s0 aunt.jpg uncle.jpg
    """
    from facehash.images.read import UnreadableImageError

    pipeline = _pipeline(model, detector, weights_dir)
    failures = faces = 0
    for photo in photos:
        try:
            rows = _codes(photo, pipeline)
        except UnreadableImageError as error:
            # A single photo is wrong use; among others it must not prevent their codes.
            if len(photos) == 1:
                raise
            log.warning(error)
            failures += 1
            continue
        for number, row in enumerate(rows, start=1):
            print(printable(photo), number, *row, sep="\t", flush=True)
        faces += len(rows)
    if failures:
        message = f"{failures} of {len(photos)} photos could not be read"
        if failures == len(photos):
            raise InputError(message)
        log.warning(message)
        return PARTLY_FAILED
    return DONE if faces else NOTHING_FOUND


def _pipeline(model: str, detector: str | None, weights_dir: Path | None) -> FacePipeline:
    """Return a pipeline that produces codes."""
    from facehash.library.query.encoder import is_library, open_encoder
    from facehash.pipeline import FacePipeline, default_pipeline, pipelines

    if is_library(Path(model)):
        if detector:
            raise InputError(f"{model}: a library has its own detector, omit --detector")
        return open_encoder(Path(model), pipelines(weights_dir))
    pipeline = FacePipeline.create(default_pipeline(detector or "yunet", model, weights_dir))
    if pipeline.embedder.metric != "hamming":
        raise InputError(
            f"{model}: produces float vectors, not codes; name a run of DDH or DCBH, or a "
            "library that was indexed with --codes, such as --codes itq:64"
        )
    return pipeline


def _codes(photo: Path, pipeline: FacePipeline) -> list[tuple[str, str]]:
    """Return the code of each face of a photo, in hexadecimal and in bits."""
    from facehash.codes import bits_from_packed
    from facehash.images.read import read_photo
    from facehash.pipeline import NoFaceError

    try:
        read = read_photo(photo)
        if read.damage:
            log.warning(f"{photo}: {read.damage}; the rest is encoded")
        packed = pipeline.embed(read.pixels, photo).rows
    except NoFaceError as error:
        log.warning(error)
        return []
    bits = bits_from_packed(packed, pipeline.embedder.dimension)
    return [
        (code.tobytes().hex(), "".join(map(str, row.tolist())))
        for code, row in zip(packed, bits, strict=True)
    ]
