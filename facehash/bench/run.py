"""Measure every way to search a library: ``facehash bench``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facehash.bench.methods import by_codes, by_rows, by_shortlist, fit
from facehash.bench.queries import Trials, draw_trials, read_faces
from facehash.bench.reembed import embed_again
from facehash.bench.scores import K, measure
from facehash.errors import InputError, did_you_mean
from facehash.hashing import HASHERS
from facehash.library.derived.arrays import spaces
from facehash.library.storage.store import Store
from facehash.pipeline import MakePipeline, default_pipeline
from facehash.runs.environment import describe_environment
from facehash.specification import split_specification

SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """What is measured, and how.

    Attributes:
        hashers: Which codes are made of the vectors: ``"itq"``, ``"lsh"``.
        bits: Their lengths, 1 to 1,024; itq has at most one bit a dimension.
        shortlist: Faces on the shortlist that vectors put in order; 0 leaves these ways out.
        embedders: Other embedders, as a user calls them, to be tried on the same faces.
        near_duplicate: From which cosine on two vectors of one person, less the mean of all, count
            as pictures of one moment.
        queries: Queries at most; of more, so many are drawn at random.
        leave_out: People to be treated as if they were not in the library.
        seed: Of the draw and of the codes.
    """

    hashers: Sequence[str] = ("itq", "lsh")
    bits: Sequence[int] = (32, 64, 128, 256, 512)
    shortlist: int = 100
    embedders: Sequence[str] = ()
    near_duplicate: float = 0.95
    queries: int = 5000
    leave_out: Collection[str] = ()
    seed: int = 0

    def check(self) -> None:
        """Refuse what would fail after minutes.

        Raises:
            InputError: A value that nothing can be measured with.
        """
        for name in self.hashers:
            if name not in HASHERS:
                raise InputError(f"--codes {name}: no such codes{did_you_mean(name, HASHERS)}")
        if not all(1 <= bits <= 1024 for bits in self.bits):
            raise InputError(f"--bits: 1 to 1024 each, got {', '.join(map(str, self.bits))}")
        if not (math.isfinite(self.near_duplicate) and self.near_duplicate >= -1):
            raise InputError(
                f"--near-duplicate: a cosine, -1 to 1 (above 1 leaves nothing out), got "
                f"{self.near_duplicate:g}"
            )
        if self.queries < 1 or self.shortlist < 0:
            raise InputError("--queries must be at least 1, and --shortlist at least 0")


def bench(
    store: Store,
    plan: Plan = Plan(),
    make_pipeline: MakePipeline = default_pipeline,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure every way to search a library, leave-one-out on people who are on two photos.

    Args:
        store: The library.
        plan: What is measured, and how.
        make_pipeline: Makes further embedders of their names.
        progress: Whether to show a bar on a terminal.

    Returns:
        Plain values, with neither names nor paths in them: ``library``, ``queries``, ``left_out``,
        ``ways`` (see `facehash.bench.scores.measure`), and what was not measured, and why.

    Raises:
        LibraryError: Nobody has a name, or nobody is on two photos.
        InputError: A plan that nothing can be measured with.
    """
    plan.check()
    settings = store.settings()
    # Vectors where there are any; else the codes of a network.
    column, space = next(iter(spaces(settings, fitted=False).items()))
    with store.database.snapshot():
        faces = read_faces(store, column, space, plan.leave_out)
    trials = draw_trials(faces, plan.near_duplicate, plan.queries, plan.seed)
    # First, for photos may be gone, and only then is the machine left to what is timed.
    others = _others(store, trials, plan, make_pipeline, progress)
    skipped: list[str] = []
    ways = list(_library_ways(trials, plan, label_of(settings.embedder), skipped))
    ways += [measure(again, by_rows(again, label), None) for label, again in others]
    findable = trials.findable()
    environment = describe_environment("none", "cpu", plan.seed)
    return {
        "schema": SCHEMA,
        "library": {
            "embedder": label_of(settings.embedder),
            "embedder_identity": settings.embedder_identity,
            "metric": space.metric,
            "dimension": space.dimension,
            "faces": len(faces),
            "people": len(np.unique(faces.people)),
            "photos": len(np.unique(faces.photos)),
            "unnamed_faces": faces.unnamed,
        },
        "queries": {
            "faces": len(trials.asked),
            "people": len(np.unique(trials.people)),
            "most_P@5": float((np.minimum(findable, 5) / 5).mean()),
            "share_of_the_commonest_person": float(
                np.unique(trials.people, return_counts=True)[1].max() / len(trials.asked)
            ),
        },
        "left_out": {
            "pairs_on_one_photo": trials.same_photo,
            "near_duplicate_cosine": None if space.metric == "hamming" else plan.near_duplicate,
            "near_duplicate_pairs": trials.near_duplicates,
            "as_near_pairs_of_two_people": trials.as_near,
            "queries_without_a_match": trials.without_match,
        },
        "plan": {k: v for k, v in dataclasses.asdict(plan).items() if k not in _PRIVATE},
        "ways": ways,
        "skipped": skipped,
        "environment": {
            k: environment[k] for k in ("python", "platform", "packages", "git_commit")
        },
    }


_PRIVATE = ("embedders", "leave_out")
"""They may hold paths and names."""


def _library_ways(
    trials: Trials, plan: Plan, label: str, skipped: list[str]
) -> Iterator[dict[str, Any]]:
    rows = by_rows(trials, label)
    vectors = trials.faces.space.metric != "hamming"
    exact = rows.nearest(K) if vectors else None
    yield measure(trials, rows, exact)
    if not vectors:
        skipped.append("codes of vectors: this library has none, its embedder makes codes")
        return
    for name in dict.fromkeys(plan.hashers):
        for bits in sorted(set(plan.bits)):
            if name == "itq" and bits > trials.faces.space.dimension:
                skipped.append(
                    f"itq of {bits} bits: has at most one bit a dimension, and vectors have "
                    f"{trials.faces.space.dimension}"
                )
                continue
            hasher, codes, seconds = fit(trials, name, bits, plan.seed)
            yield measure(trials, by_codes(trials, hasher, codes, seconds), exact)
            if plan.shortlist:
                way = by_shortlist(trials, hasher, codes, seconds, plan.shortlist)
                yield measure(trials, way, exact)


def _others(
    store: Store, trials: Trials, plan: Plan, make_pipeline: MakePipeline, progress: bool
) -> list[tuple[str, Trials]]:
    """Embed the faces by the other embedders, each of which is made before any is at work."""
    detector = store.settings().detector
    pipelines = [make_pipeline(detector, name) for name in dict.fromkeys(plan.embedders)]
    embedders = [pipeline.make_embedder(pipeline.embedder) for pipeline in pipelines]
    return [
        (label_of(pipeline.embedder), embed_again(store, trials, pipeline, embedder, progress))
        for pipeline, embedder in zip(pipelines, embedders, strict=True)
    ]


def label_of(embedder: str) -> str:
    """Return what an embedder is called in tables: the name of its file or run, without a path."""
    head, _ = split_specification(embedder)
    kind, _, place = head.partition(":")
    return Path(place).name if kind in ("run", "keras") and place else head
