"""Measures every method to search a library: ``facehash bench``."""

import dataclasses
import logging
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facehash.bench.engines import measure_engine
from facehash.bench.methods import (
    SearchMethod,
    compare_asymmetrically,
    compare_codes,
    compare_projections,
    compare_rows,
    fit_codes,
    rerank_codes,
)
from facehash.bench.queries import QuerySet, draw_queries, hold_out, read_faces
from facehash.bench.reembed import reembed
from facehash.bench.schema import SCHEMA, with_schema_1_keys
from facehash.bench.scores import K, measure, measure_held_out
from facehash.codes import CodesError
from facehash.errors import InputError, did_you_mean
from facehash.hashing.library import LIBRARY_HASHERS, check_hasher, usual_hashers
from facehash.index.engines.base import EngineError
from facehash.library.derived.arrays import spaces
from facehash.library.query.encoder import make_matching
from facehash.library.storage.engines import Engine, get_engine
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.pipeline import MakePipeline, default_pipeline
from facehash.runs.environment import describe_environment
from facehash.specification import split_specification

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What to measure; the options of ``facehash bench``."""

    hashers: Sequence[str] | None = None  # None: those that exist for the embedder
    bits: Sequence[int] = (32, 64, 128, 256, 512)  # 1 to 1,024; what a hasher has not is skipped
    rerank: int = 100  # number of candidates; 0 measures no re-ranking
    embedders: Sequence[str] = ()  # others, to measure on the same faces
    near_duplicate: float = 0.95  # see `facehash.bench.queries.draw_queries`
    queries: int = 5000  # at most; if there are more, this many are drawn at random
    exclude_people: Collection[str] = ()  # names of people, as if they were not in the library
    seed: int = 0  # of the draws and of the codes
    draws: int = 5  # of held-out queries, one face of each person; 0 for leave-one-out only
    engines: Sequence[str] = ()  # names of engines of the library

    def check(self) -> None:
        """Refuse values that would fail after minutes.

        Raises:
            InputError: A value that nothing can be measured with.
        """
        for name in self.hashers or ():
            if name not in LIBRARY_HASHERS:
                raise InputError(
                    f"--codes {name}: no such codes{did_you_mean(name, LIBRARY_HASHERS)}"
                )
        if not all(1 <= bits <= 1024 for bits in self.bits):
            raise InputError(f"--bits: 1 to 1024 each, got {', '.join(map(str, self.bits))}")
        if not (math.isfinite(self.near_duplicate) and self.near_duplicate >= -1):
            raise InputError(
                f"--near-duplicate: a cosine, -1 to 1 (above 1 excludes nothing), got "
                f"{self.near_duplicate:g}"
            )
        if self.queries < 1 or self.rerank < 0 or self.draws < 0:
            raise InputError("--queries must be at least 1, --rerank and --draws at least 0")


# They may contain paths and names. Engines that answer are in the result.
_PRIVATE = ("embedders", "exclude_people", "engines")


def bench(
    store: Store,
    plan: Plan = Plan(),
    make_pipeline: MakePipeline = default_pipeline,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure every method to search a library, on people with at least two photos.

    Held out, one face of each person is a query, and codes are fitted to the remaining faces; this
    is what a new photo finds. Leave-one-out, every face is a query for the others, and codes are
    fitted to all faces.

    Args:
        store: The library.
        plan: What to measure.
        make_pipeline: Makes other embedders by name.
        progress: Whether to show a progress bar.

    Returns:
        The content of ``bench.json`` (see `facehash.bench.schema`), without names of people and
        paths: ``library``, ``queries``, ``excluded`` pairs, ``plan``, ``methods`` (see
        `facehash.bench.scores.measure`; leave-one-out, with the scores of held-out queries in
        ``held_out``), ``engines`` (see `facehash.bench.engines.measure_engine`), ``skipped``: what
        was not measured, and why, and ``trained_people``: for each of `plan.embedders` that is a
        network of this project, the number of people among the queries, by name, that it was
        trained on.

    Raises:
        LibraryError: No face has a name, no person is on two photos, or there is no such engine.
        InputError: A plan that nothing can be measured with.
    """
    plan.check()
    engines = [get_engine(store, name) for name in dict.fromkeys(plan.engines)]
    settings = store.settings()
    if plan.hashers is None:
        plan = dataclasses.replace(plan, hashers=usual_hashers(settings.embedder_identity))
    # Vectors where there are any, else the codes of a network.
    column, space = next(iter(spaces(settings, fitted=False).items()))
    with store.database.snapshot():
        faces = read_faces(store, column, space, plan.exclude_people)
    queries = draw_queries(faces, plan.near_duplicate, plan.queries, plan.seed)
    pipelines = [make_pipeline(settings.detector, name) for name in dict.fromkeys(plan.embedders)]
    embedders = [pipeline.make_embedder(pipeline.embedder) for pipeline in pipelines]
    # Re-embedding comes first: photos may be missing, and afterwards only what is timed runs.
    others = [
        (label_of(pipeline.embedder), reembed(store, queries, pipeline, embedder, progress))
        for pipeline, embedder in zip(pipelines, embedders, strict=True)
    ]
    skipped: list[str] = []
    engines_found = list(_measure_engines(store, engines, queries, skipped))
    queries = _with_projections(store, queries, make_pipeline, skipped, progress)
    methods = list(_library_methods(queries, plan, settings, skipped))
    methods += [method for label, other in others for method in _measure_rows(other, plan, label)]
    num_relevant = queries.num_relevant()
    environment = describe_environment("none", "cpu", plan.seed)
    return with_schema_1_keys(
        {
            "schema": SCHEMA,
            "library": {
                "embedder": label_of(settings.embedder),
                "embedder_identity": settings.embedder_identity,
                "metric": space.metric,
                "dimension": space.dimension,
                "faces": len(faces),
                "people": len(np.unique(faces.people)),
                "photos": len(np.unique(faces.photos)),
                "unnamed_faces": faces.num_unnamed,
            },
            "queries": {
                "faces": len(queries.query_indices),
                "people": len(np.unique(queries.people)),
                "held_out": len(np.unique(queries.people)) if plan.draws else 0,  # per draw
                "max_P@5": float((np.minimum(num_relevant, 5) / 5).mean()),
                "majority_accuracy": float(
                    np.unique(queries.people, return_counts=True)[1].max() / len(num_relevant)
                ),
            },
            "excluded": {
                "same_photo_pairs": queries.same_photo,
                "near_duplicate_cosine": (
                    None if space.metric == "hamming" else plan.near_duplicate
                ),
                "near_duplicate_pairs": queries.near_duplicates,
                "cross_person_pairs": queries.cross_person,
                "queries_without_match": queries.without_match,
            },
            "plan": {k: v for k, v in dataclasses.asdict(plan).items() if k not in _PRIVATE},
            "methods": methods,
            "engines": engines_found,
            "skipped": skipped,
            "trained_people": _trained_people(
                store, queries, [label for label, _ in others], embedders
            ),
            "environment": {
                k: environment[k] for k in ("python", "platform", "packages", "git_commit")
            },
        }
    )


def _trained_people(
    store: Store, queries: QuerySet, labels: Sequence[str], embedders: Sequence[Any]
) -> dict[str, int]:
    """Count the people among the queries, by name, that each network was trained on."""
    searched = set(queries.people.tolist())
    rows = store.database.rows("SELECT id, name FROM people")
    names = {name for person, name in rows if person in searched}
    return {
        label: len(names & embedder.trained_people)
        for label, embedder in zip(labels, embedders, strict=True)
        if hasattr(embedder, "trained_people")
    }


def _measure_engines(
    store: Store, engines: Sequence[Engine], queries: QuerySet, skipped: list[str]
) -> Iterator[dict[str, Any]]:
    """Measure the engines; those that fail are skipped."""
    for engine in engines:
        try:
            yield measure_engine(store, engine, queries)
        except EngineError as error:
            log.warning(f"engine {engine.name}: {error}")  # with an address
            skipped.append(f"engine {engine.name}: it did not answer, or its index is not usable")


def _measure_rows(queries: QuerySet, plan: Plan, label: str) -> Iterator[dict[str, Any]]:
    """Measure another embedder, leave-one-out and on held-out queries."""
    sets = [hold_out(queries, plan.seed + draw) for draw in range(plan.draws)]
    yield {
        **measure(queries, compare_rows(queries, label), None),
        "held_out": measure_held_out([(compare_rows(one, label), None) for one in sets]),
    }
    if queries.faces.projections is not None:
        yield _measure_projections([queries, *sets], label)


def _measure_projections(sets: Sequence[QuerySet], label: str) -> dict[str, Any]:
    """Measure the asymmetric distance of a network's codes; the first set is leave-one-out."""
    first, *held_out = (compare_projections(one, label) for one in sets)
    return {
        **measure(*first, None),
        "held_out": measure_held_out([(method, None) for _, method in held_out]),
    }


def _with_projections(
    store: Store, queries: QuerySet, make_pipeline: MakePipeline, skipped: list[str], progress: bool
) -> QuerySet:
    """Add the projections of the faces to the queries of a library of codes, where it has them."""
    settings = store.settings()
    if not settings.projects:
        return queries
    try:
        spec = make_pipeline(settings.detector, settings.embedder)
        embedder = make_matching(settings, make_pipeline, store.directory).embedder
        again = reembed(store, queries, spec, embedder, progress)
    except (InputError, OSError) as error:
        log.warning(error)  # with a path, which the result must not contain
        skipped.append("asymmetric distance: the run or a photo of this library cannot be read")
        return queries
    faces = dataclasses.replace(queries.faces, projections=again.faces.projections)
    return dataclasses.replace(queries, faces=faces)


def _library_methods(
    queries: QuerySet, plan: Plan, settings: Settings, skipped: list[str]
) -> Iterator[dict[str, Any]]:
    sets = [queries, *(hold_out(queries, plan.seed + draw) for draw in range(plan.draws))]
    has_vectors = queries.faces.space.metric != "hamming"
    rows = [compare_rows(one, label_of(settings.embedder)) for one in sets]
    exact = [one.nearest(K) if has_vectors else None for one in rows]

    def measured(found: Sequence[SearchMethod]) -> dict[str, Any]:
        held_out = measure_held_out(list(zip(found, exact, strict=True))[1:])
        return {**measure(queries, found[0], exact[0]), "held_out": held_out}

    yield measured(rows)
    if queries.faces.projections is not None:
        yield _measure_projections(sets, label_of(settings.embedder))
    if not has_vectors:
        skipped.append("codes of vectors: the embedder of this library produces codes")
        return
    embedder = settings.embedder_identity
    for name in dict.fromkeys(plan.hashers or ()):
        refused: dict[str, list[str]] = {}
        for bits in sorted(set(plan.bits)):
            try:
                check_hasher(name, bits, queries.faces.space.dimension, embedder)
            except CodesError as error:
                refused.setdefault(str(error), []).append(str(bits))
                continue
            fitted = [(one, fit_codes(one, name, bits, plan.seed, embedder)) for one in sets]
            yield measured([compare_codes(*one) for one in fitted])
            yield measured([compare_asymmetrically(*one) for one in fitted])
            if plan.rerank:
                yield measured([rerank_codes(*one, plan.rerank) for one in fitted])
        skipped += [f"{name} with {', '.join(bits)} bits: {why}" for why, bits in refused.items()]


def label_of(embedder: str) -> str:
    """Return the name of an embedder in tables: that of its file or run, without a path."""
    head, _ = split_specification(embedder)
    kind, _, place = head.partition(":")
    return Path(place).name if kind in ("run", "keras") and place else head
