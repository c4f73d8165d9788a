"""Faces as documents of Elasticsearch, and the queries that find them.

A document has the row in the field `vector`: the bits of a code, or a vector as it is compared,
for cosine of length 1. A vector of length 0 has no cosine there, so its document has `zero`
instead. The field `changed` is the generation of the face's last change.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from facehash.index.engines.base import Added, EngineError, Removed
from facehash.vectors import Rows, Space, unit_rows

MOST_CANDIDATES = 10_000
"""Elasticsearch answers no more; a search for more faces gets this many candidates."""

FACES = {"exists": {"field": "face"}}
FIELDS = ("face", "changed", "vector", "zero")
# Of 10^5 vectors, a graph search that looks at 200 finds 92 to 96 % of the ten nearest.
_LEAST_LOOKED_AT = 1_000


def mappings(space: Space, kind: str, marks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mappings of an index.

    Args:
        space: Of the rows.
        kind: ``"exact"`` or ``"hnsw"``.
        marks: By which the index is recognised.
    """
    vector: dict[str, Any] = {
        "type": "dense_vector",
        "dims": space.dimension,
        "index": True,
        "similarity": "cosine" if space.metric == "cosine" else "l2_norm",
        "index_options": {"type": "flat"},
    }
    if space.metric == "hamming":
        vector |= {"element_type": "bit", "dims": 8 * space.width}
    if kind == "hnsw":
        vector["index_options"] = {"type": "hnsw", "m": 16, "ef_construction": 100}
    return {
        "_meta": {"facehash": marks},
        "dynamic": "strict",
        # The row is in the vector's own files; another copy in the source would only take space.
        "_source": {"excludes": ["vector"]},
        "properties": {
            "vector": vector,
            "face": {"type": "long"},
            "changed": {"type": "long", "index": False},
            "zero": {"type": "boolean"},
            "generation": {"type": "long", "index": False},
            "moved_to": {"type": "keyword", "index": False, "doc_values": False},
        },
    }


def operations(space: Space, added: Added, removed: Removed) -> Iterator[str]:
    """Yield the lines of a bulk request, one string for each face, without the last line end."""
    version = '"version":%d,"version_type":"external_gte"}}'
    put = '{"index":{"_id":"%d",' + version + "\n"
    delete = '{"delete":{"_id":"%d",' + version
    document = '{"face":%d,"changed":%d%s}'
    for face, changed, vector in zip(
        added.ids.tolist(), added.generations.tolist(), texts(space, added.rows), strict=True
    ):
        field = ',"zero":true' if vector is None else f',"vector":{vector}'
        yield put % (face, changed) + document % (face, changed, field)
    for face, changed in zip(removed.ids.tolist(), removed.generations.tolist(), strict=True):
        yield delete % (face, changed)


def texts(space: Space, rows: Rows) -> Iterator[str | None]:
    """Yield rows as JSON; None for a vector of length 0 that is compared by cosine."""
    if space.metric == "hamming":
        for row in rows:
            yield f'"{row.tobytes().hex()}"'
        return
    if space.metric == "cosine":
        rows = unit_rows(rows)
    # Nine digits tell all float32 values apart.
    numbers = "[" + ",".join(["%.9g"] * space.dimension) + "]"
    for row in rows:
        if space.metric == "cosine" and not row.any():
            yield None
        else:
            yield numbers % tuple(row.tolist())


def faces(space: Space, found: Sequence[Mapping[str, Any]]) -> Added:
    """Return the faces of documents.

    Args:
        space: Of the rows.
        found: The values of `FIELDS` of each document.

    Raises:
        EngineError: A document has no row.
    """
    rows = np.zeros((len(found), space.width), space.dtype)
    for row, fields in zip(rows, found, strict=True):
        if "vector" in fields:
            # A code comes as one list of signed bytes inside another.
            values = np.array(fields["vector"]).reshape(-1)
            row[:] = values.astype(np.int8).view(np.uint8) if space.metric == "hamming" else values
        elif "zero" not in fields:
            raise EngineError(f"the document of face {fields['face'][0]} has no vector")
    ids, changed = (
        np.array([fields[name][0] for fields in found], np.int64) for name in ("face", "changed")
    )
    return Added(ids, rows, changed)


def nearest(text: str | None, k: int) -> dict[str, Any]:
    """Return the search for the k faces nearest to a row as JSON, or to a vector of length 0."""
    if text is None:  # is as far from every face
        return by_face(FACES, k)
    return {
        "knn": {
            "field": "vector",
            "query_vector": json.loads(text),
            "k": k,
            "num_candidates": min(max(_LEAST_LOOKED_AT, 2 * k), MOST_CANDIDATES),
        },
        "size": k,
        "_source": False,
    }


def zeros(k: int) -> dict[str, Any]:
    """Return the search for the k first faces whose vectors have length 0."""
    return by_face({"term": {"zero": True}}, k)


def by_face(query: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return the search for the first k faces, by their ids, that a query finds."""
    return {"query": query, "sort": ["face"], "size": k, "_source": False}
