"""The results of a search as one self-contained HTML file.

Every value is escaped, the page's content security policy forbids scripts and loading anything, and
a photo is shown only if its content is what was indexed.
"""

import base64
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from facehash.images.face import Box
from facehash.images.read import Photo
from facehash.library.ingest.read import encode_jpeg
from facehash.library.query.library import Library
from facehash.library.query.results import UNITS, Hit, QueryResult
from facehash.library.views.pictures import Picture, crop_of, photo_of, query_photo
from facehash.output import HTML, check_output, replace_output

_PHOTO_SIDE = 420
# The first twelve digits identify a file well enough for a reader.
_LONG_DIGEST = re.compile("(?<=sha256=[0-9a-f]{12})[0-9a-f]+")


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return the template of a page: everything is escaped, undefined names fail.

    Args:
        name: A file in this package.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facehash.library.views", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Parts of a long name, between which a line may break.
    environment.filters["parts"] = lambda value: re.split("(?<=[_/])", str(value))
    return environment.get_template(name)


def write_page(
    path: Path, library: Library, results: Sequence[QueryResult], *, score: bool = False
) -> None:
    """Write the results of a search: each query face, and the faces found with their photos.

    Args:
        path: The HTML file; only its owner can read it.
        library: The library that was searched.
        results: One per query face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    check_output(path, HTML, "write_page", force=True)
    embedder = library.settings.embedder_identity
    text = template("page.html").render(
        faces=len(library),
        embedder=embedder,
        short_embedder=_LONG_DIGEST.sub("\N{HORIZONTAL ELLIPSIS}", embedder),
        unit=UNITS["score" if score else library.metric],
        threshold=library.threshold,
        sections=[_section(library, result, score) for result in results],
    )
    with replace_output(path, private=True) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _section(library: Library, result: QueryResult, score: bool) -> dict[str, Any]:
    return {
        "title": result.title,
        "face": result.face,
        "crop": data_url(result.crop),
        "photo": _photo(query_photo(result), result.query, result.box) if result.query else None,
        "hits": [_card(library, hit, result.format_distance(hit, score)) for hit in result.hits],
    }


def _card(library: Library, hit: Hit, number: str) -> dict[str, Any]:
    return {
        "hit": hit,
        "kind": {True: "known", False: "unknown", None: "open"}[hit.within_threshold],
        "number": number,
        "crop": data_url(crop_of(library.store, hit)),
        "photo": _photo(photo_of(library.store, hit), hit.path, hit.box),
    }


def _photo(photo: Photo | None, path: Path, box: Box | None) -> dict[str, Any]:
    """Return a whole photo, and the frame around the face."""
    if photo is None:
        return {"source": None}
    width, height = photo.size
    return {
        "source": data_url(photo.pixels, _PHOTO_SIDE),
        "name": path.name,
        "width": width,
        "height": height,
        "box": box,
        "line": max(width, height) / 110,
    }


def data_url(image: Picture | None, side: int | None = None) -> str | None:
    """Return a picture as the address of an image in a page, or None without one."""
    if image is None:
        return None
    jpeg = encode_jpeg(image) if side is None else encode_jpeg(image, side)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
