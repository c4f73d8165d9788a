"""Keep face vectors in LSH buckets on Redis, tables x bits, and find the nearest to one of them.

Run it with a file of "vectors" (n, d) and "labels" (n,), the number of a row, and a server:
python examples/lsh_redis.py VECTORS.npz ROW "redis://127.0.0.1:6379/0?tables=32&bits=14"
A password may be in the environment variable FACEHASH_ENGINE_PASSWORD.
"""

import sys
import uuid
from pathlib import Path

import numpy as np

from facehash.index.engines.address import Address
from facehash.index.engines.base import Added, Identity
from facehash.index.engines.connect import connect
from facehash.vectors import Space, unit_rows


def main(path: str, row: str, url: str) -> None:
    """Fill the tables anew, and print the five nearest of the faces that share a bucket."""
    with np.load(path) as file:
        vectors, labels = unit_rows(file["vectors"].astype(np.float32)), file["labels"]
    ids, generations = np.arange(len(vectors)), np.ones(len(vectors), np.int64)
    collection = uuid.uuid5(uuid.NAMESPACE_URL, Path(path).resolve().as_uri()).hex
    identity = Identity(collection, Space("cosine", vectors.shape[1]), made_by="a file")
    index = connect(Address.parse(url).with_password("redis"), identity, replace=True)
    index.rebuild(index.generation(), 1, [Added(ids, vectors, generations)])
    query = vectors[int(row)]
    candidates = index.search(query[None], k=5).ids[0]
    distances = np.maximum(0, 1 - vectors[candidates] @ query)
    print(f"{len(candidates)} of {len(index)} faces on {index.server()} were compared")
    for nearest in np.lexsort((candidates, distances))[:5]:
        print(f"{distances[nearest]:.3f} {labels[candidates[nearest]]}")
    index.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
