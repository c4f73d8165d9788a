"""A library of random rows, without photos."""

import numpy as np

from facehash.library.storage.settings import Settings, read_settings

DIMENSION = 8


def settings(metric="cosine", codes=None, **more):
    embedder = f"projection {DIMENSION} {metric}"
    return Settings(
        "halves", "halves", f"{metric}:8", embedder, metric, DIMENSION, "box", 16, codes, **more
    )


def draw(store, count, rng):
    """Return rows of the library's embedder; a third of the codes and vectors are equal."""
    space = read_settings(store.database).space
    if space.metric == "hamming":
        return rng.integers(0, 256, (count, space.width), dtype=np.uint8)
    rows = rng.normal(size=(count, DIMENSION)).astype("<f4")
    rows[rng.random(count) < 0.3] = 1
    return rows


def column(store):
    return "code" if read_settings(store.database).metric == "hamming" else "embedding"


def add(store, count, seed=0):
    """Add faces to the only photo."""
    rng = np.random.default_rng([store.generation(), seed])
    run = store.database.run
    with store.database.transaction():
        run("INSERT OR IGNORE INTO photos (id, digest) VALUES (1, zeroblob(32))")
        for row in draw(store, count, rng):
            run(
                "INSERT INTO faces (photo_id, number, x, y, width, height, score, quality, "  # noqa: S608
                f"{column(store)}) SELECT 1, coalesce(max(number), 0) + 1, 0.0, 0.0, 1.0, 1.0, "
                "1.0, 1.0, ? FROM faces",
                (row.tobytes(),),
            )


def change(store, face):
    """Give a face another row."""
    rng = np.random.default_rng([store.generation(), 77])
    [row] = draw(store, 1, rng)
    store.database.run(
        f"UPDATE faces SET {column(store)} = ? WHERE id = ?",  # noqa: S608
        (row.tobytes(), face),
    )


def remove(store, face):
    store.database.run("DELETE FROM faces WHERE id = ?", (face,))


def content(store):
    """Return the rows of all faces, by id."""
    return dict(store.database.rows(f"SELECT id, {column(store)} FROM faces"))  # noqa: S608
