"""Clusters of faces as one self-contained HTML file: a contact sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facehash.library.people.clusters import Cluster
from facehash.library.storage.records import StoredFace
from facehash.library.storage.store import Store
from facehash.library.views.html import data_url, template
from facehash.library.views.pictures import stored_crop
from facehash.output import HTML, check_output, replace_output
from facehash.printing import quoted

MOST = 24
"""Faces of a cluster that are shown."""


def write_sheet(path: Path, store: Store, clusters: Sequence[Cluster], most: int = MOST) -> None:
    """Write a page with the faces of each cluster, as they are stored in the library.

    Args:
        path: The HTML file; only its owner can read it.
        store: The library.
        clusters: What to show, in this order.
        most: Largest number of faces per cluster.
    """
    check_output(path, HTML, "write_sheet", force=True)
    text = template("sheet.html").render(
        library=quoted(store.directory),
        clusters=[
            {
                "id": one.id,
                "total": len(one.faces),
                "ignored": one.ignored,
                "faces": [_face(store, face) for face in store.faces(one.faces[:most])],
                "more": max(0, len(one.faces) - most),
            }
            for one in clusters
        ],
    )
    with replace_output(path, private=True) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _face(store: Store, face: StoredFace) -> dict[str, Any]:
    source = data_url(stored_crop(store, face.id))
    return {"id": face.id, "path": str(face.path), "source": source}
