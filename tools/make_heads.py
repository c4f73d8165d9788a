"""Make the learned hash functions that come with facehash: ``python -m tools.make_heads``.

    python -m tools.make_heads --vectors DIR

DIR has sface_train.npz: ``vectors`` and ``labels``, one row per face. `WhitenedITQ` is fitted to
all of its people, with its default settings, chosen on a fifth of these people. The head is
written to facehash/hashing/heads/, and what it is and how it scores to
experiments/results/sface_head.json. The scores are those of a head that was fitted to the other
four fifths, on the people of the fifth, with held-out queries as in ``facehash bench``.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from experiments.unseen.protocol import LabeledVectors, draws, leave_one_out, read_vectors
from facehash.bench.methods import FittedCodes, compare_asymmetrically, compare_codes, compare_rows
from facehash.bench.queries import QuerySet
from facehash.bench.scores import measure_held_out
from facehash.command_line import DONE, make_app, run
from facehash.files import write_json
from facehash.hashing import IterativeQuantization, LinearHash, WhitenedITQ
from facehash.hashing.heads import head as heads
from facehash.hashing.heads.head import HEADS, Head
from facehash.hashing.witq import SHRINK, adapting_whitening, unit, within_whitening

ROOT = Path(__file__).resolve().parent.parent
DEVELOPMENT = ROOT / "experiments" / "unseen" / "development_people.json"
RESULT = ROOT / "experiments" / "results" / "sface_head.json"
[EMBEDDER] = HEADS
LENGTHS, SEED, DRAWS = (32, 64, 128), 0, 5

app = make_app("Make the learned hash functions that come with facehash.")


def make_head(faces: LabeledVectors, lengths: Sequence[int] = LENGTHS) -> Head:
    """Fit a head to labeled vectors."""
    fitted = {bits: WhitenedITQ.fit(faces.rows, bits, SEED, labels=faces.names) for bits in lengths}
    rows = faces.rows.astype(np.float64)
    mean = rows.mean(axis=0)
    units = unit(rows - mean)
    adapting = adapting_whitening(units, within_whitening(units, faces.names, SHRINK))
    return Head(
        mean.astype(np.float32),
        adapting.astype(np.float32),
        {bits: one.projection for bits, one in fitted.items()},
        {bits: one.scale for bits, one in fitted.items() if one.scale is not None},
    )


def development_scores(faces: LabeledVectors, people: Sequence[str]) -> dict[str, Any]:
    """Fit a head without some people, and score it on held-out queries among them.

    Args:
        faces: All faces.
        people: Names of the people to score on.

    Returns:
        Numbers of faces, people and queries, and a row of scores for each method and length.
    """
    chosen = np.isin(faces.names, people)
    others = LabeledVectors(faces.rows[~chosen], faces.names[~chosen])
    judged = LabeledVectors(faces.rows[chosen], faces.names[chosen])
    head = make_head(others)
    queries = draws(leave_one_out(judged), DRAWS)
    rows = []
    for bits in LENGTHS:
        elsewhere = IterativeQuantization.fit(others.rows, bits, SEED)
        methods: dict[str, Callable[[QuerySet], LinearHash]] = {
            "itq of other people": lambda _, fitted=elsewhere: fitted,
            "learned": lambda _, bits=bits: head.learned(bits),
            "itq of the gallery": lambda drawn, bits=bits: IterativeQuantization.fit(
                drawn.faces.all_rows, bits, SEED
            ),
            "adapted": lambda drawn, bits=bits: head.adapted(bits, drawn.faces.all_rows, SEED),
        }
        for name, fit in methods.items():
            codes = [coded(drawn, fit(drawn)) for drawn in queries]
            pairs = list(zip(queries, codes, strict=True))
            rows.append(
                {
                    "name": name,
                    "bits": bits,
                    "hamming": scores([compare_codes(*one) for one in pairs]),
                    "asymmetric": scores([compare_asymmetrically(*one) for one in pairs]),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return {
        "people": len(people),
        "faces": len(judged.rows),
        "queries_per_draw": len(queries[0].query_indices),
        "gallery": len(queries[0].faces),
        "draws": DRAWS,
        "vectors": scores([compare_rows(drawn, "vectors") for drawn in queries]),
        "rows": rows,
    }


def coded(queries: QuerySet, hasher: LinearHash) -> FittedCodes:
    """Encode the gallery of a draw."""
    return FittedCodes(hasher, hasher.encode(queries.faces.rows), 0.0)


def scores(methods: Sequence[Any]) -> dict[str, float]:
    """Return the mean P@1 and mAP over draws."""
    found = measure_held_out([(method, None) for method in methods]) or {}
    return {name: found[name] for name in ("P@1", "mAP")}


def describe(faces: LabeledVectors, source: Path, made: Head, target: Path) -> dict[str, Any]:
    """Return what was written, from what, and how many bits half precision has changed."""
    kept = Head.read(target)
    changed = {}
    for bits in made.lengths:
        exact = LinearHash(made.mean, made.projections[bits]).project(faces.rows)
        stored = kept.learned(bits).project(faces.rows)
        changed[str(bits)] = float(np.mean((stored < 0) != (exact < 0)))
    return {
        "embedder": EMBEDDER,
        "file": target.name,
        "bytes": target.stat().st_size,
        "sha256": digest(target),
        "data": {
            "file": source.name,
            "sha256": digest(source),
            "faces": len(faces.rows),
            "people": len(np.unique(faces.names)),
        },
        "method": WhitenedITQ.name,
        "seed": SEED,
        "bits_changed_by_half_precision": changed,
    }


@app.command()
def main(
    vectors: Path = typer.Option(help="Folder of sface_train.npz."),
) -> int:
    """Fit the head to all people, write it, and score one fitted to four fifths of them.

    Example: python -m tools.make_heads --vectors DIR
    """
    source = vectors / "sface_train.npz"
    faces = read_vectors(source)
    target = Path(heads.__file__).parent / HEADS[EMBEDDER]
    made = make_head(faces)
    made.write(target)
    people = [str(one) for one in json.loads(DEVELOPMENT.read_text("utf-8"))["people"]]
    scored = development_scores(faces, people)
    write_json(RESULT, {**describe(faces, source, made, target), "development": scored})
    return DONE


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    run(app)
