"""The answers of a search as one HTML file that needs nothing else: no script, no other file.

Whatever comes from a file name or a person's name is escaped, the page's own policy forbids to load
or run anything, and a photo is shown only if it is the one that was indexed.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from facehash.errors import InputError
from facehash.images.face import Box
from facehash.images.read import read_image
from facehash.library.ingest.read import encode_jpeg
from facehash.library.query.library import Library
from facehash.library.query.results import UNITS, Hit, QueryResult
from facehash.library.storage.folder import private_atomic_write
from facehash.library.views.pictures import Picture, crop_of, photo_of

_PHOTO_SIDE = 420
# What follows the first twelve digits tells nobody anything.
_LONG_DIGEST = re.compile("(?<=sha256=[0-9a-f]{12})[0-9a-f]+")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(
    path: Path, library: Library, answers: Sequence[QueryResult], *, score: bool = False
) -> None:
    """Write the answers of a search: each face asked for, and the faces found with their photos.

    Args:
        path: The HTML file; only its owner can read it.
        library: Where the answers come from.
        answers: One a face asked for.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    style = resources.files("facehash.library.views").joinpath("page.css").read_text("utf-8")
    unit = UNITS["score" if score else library.metric]
    embedder = library.settings.embedder_identity
    shown = _LONG_DIGEST.sub("\N{HORIZONTAL ELLIPSIS}", embedder)
    threshold = library.threshold
    limit = "" if threshold is None else f"; beyond a distance of {threshold:.3f} unknown"
    sections = "\n".join(_section(library, answer, score) for answer in answers)
    text = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>facehash search</title>
<style>
{style}</style>
<header>
<h1>Face search</h1>
<p>{len(library):,} faces, embedder
<span title="{_text(embedder)}">{_text(shown)}</span><br>
Numbers: {unit}{limit}</p>
</header>
{sections}
</html>
"""
    with private_atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _section(library: Library, answer: QueryResult, score: bool) -> str:
    name = answer.query.name if answer.query else "from memory"
    crop = "" if answer.crop is None else _image(encode_jpeg(answer.crop), f"face {answer.face}")
    photo = _query(answer.query, answer.box) if answer.query else ""
    hits = "\n".join(_card(library, hit, answer.format_distance(hit, score)) for hit in answer.hits)
    return f"""<section>
<aside>
<h2>{_breakable(name)}</h2>
{crop}
<p>face {answer.face} of the query</p>
{photo}
</aside>
<ol>
{hits or '<li class="none">nothing near enough</li>'}
</ol>
</section>"""


def _card(library: Library, hit: Hit, number: str) -> str:
    stored = crop_of(library.store, hit)
    crop = "" if stored is None else _image(encode_jpeg(stored), f"hit {hit.rank}")
    kind = {True: "known", False: "unknown", None: "open"}[hit.within_threshold]
    shown = _breakable(hit.shown_name) or '<span class="nobody">no name</span>'
    return f"""<li class="{kind}">
<div class="head">{crop}<div><strong>{shown}</strong>
<span class="number">{number}</span></div><span class="rank">{hit.rank}</span></div>
{_photo(photo_of(library.store, hit), hit.path, hit.box)}
<p class="path" title="{_text(hit.path)}">{_breakable(hit.path.name)}<br>
<small>{_breakable(hit.path.parent)}, face {hit.face}, #{hit.face_id}</small></p>
</li>"""


def _query(path: Path, box: Box | None) -> str:
    try:
        image = read_image(path)
    except InputError:  # deleted since it was asked for
        image = None
    return _photo(image, path, box)


def _photo(image: Picture | None, path: Path, box: Box | None) -> str:
    """Draw a whole photo with the face in a frame."""
    if image is None:
        return '<p class="gone">the photo is not there any more, or not the same</p>'
    height, width = image.shape[:2]
    frame = ""
    if box is not None:
        x, y, w, h = (f"{value:.1f}" for value in box)
        line = f"{max(width, height) / 110:.1f}"
        place = f'x="{x}" y="{y}" width="{w}" height="{h}" rx="{line}" stroke-width="{line}"'
        frame = f"<rect {place}/>"
    source = _source(encode_jpeg(image, _PHOTO_SIDE))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_text(path.name)}">'
        f'<image href="{source}" width="{width}" height="{height}"/>{frame}</svg>'
    )


def _image(jpeg: bytes, description: str) -> str:
    return f'<img src="{_source(jpeg)}" alt="{_text(description)}">'


def _source(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _breakable(value: object) -> str:
    """Escape, and let a long name go on in the next line where its parts meet."""
    return _text(value).replace("_", "_<wbr>").replace("/", "/<wbr>")


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
