"""Protocols: which images are for training, which form the gallery, and which are queries."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facehash.config import DatasetConfig
from facehash.dataset import DatasetError, IndexArray

HELD_OUT_SHARE = 0.2  # of the people, whom the protocol "unseen" holds out of training
FEWEST_PEOPLE = 2
"""With one person there is nothing to learn, and every result is correct."""


@dataclass(frozen=True)
class Roles:
    """Three sorted int64 index arrays into a data set's images."""

    train: IndexArray
    gallery: IndexArray
    query: IndexArray


class _Draw(IntEnum):
    """Purpose of a random draw; each has its own stream, independent of the others."""

    QUERIES = 0
    CAP = 1
    HELD_OUT = 2


def assign_roles(
    config: DatasetConfig,
    labels: IndexArray,
    identities: tuple[str, ...],
    is_query: NDArray[np.bool_] | None = None,
) -> Roles:
    """Assign a role to every image.

    Every draw about a person uses a generator seeded by `config.split_seed` and the person's name,
    so that adding or removing a person does not change the roles of the others' images.

    ``"seen"``: `config.queries_per_identity` images of each person are queries, but at least one
    image per person is not; all other images are both training set and gallery.
    ``"unseen"``: a fifth of the people, at least two, are held out of training. Of their images,
    those that would be queries are queries and the others are the gallery; the queries of the
    other people have no role.

    At most `config.max_per_identity` training and gallery images per person are kept, drawn at
    random; queries are never dropped.

    Args:
        config: Protocol and numbers.
        labels: int64 (n,), each an index into `identities`.
        identities: One name per person.
        is_query: bool (n,) for data that comes split; its split is kept.

    Returns:
        The roles; `FaceDataset.check` refuses empty ones.

    Raises:
        DatasetError: ``"unseen"`` with fewer than four people: two to hold out, two to train on.
    """
    seed, limit = config.split_seed, config.max_per_identity
    query, rest = [], []
    for identity, rows in _rows_by_identity(labels):
        name = identities[identity]
        if is_query is None:
            order = _generator(seed, _Draw.QUERIES, name).permutation(rows)
            count = min(config.queries_per_identity, len(rows) - 1)
            queried, kept = order[:count], np.sort(order[count:])
        else:
            queried, kept = rows[is_query[rows]], rows[~is_query[rows]]
        if limit is not None:
            kept = _generator(seed, _Draw.CAP, name).permutation(kept)[:limit]
        query.append(queried)
        rest.append(kept)
    queries, others = _sorted(query), _sorted(rest)
    if config.protocol == "seen":
        return Roles(train=others, gallery=others, query=queries)
    held_out = _held_out(np.unique(labels), identities, seed)
    is_held_out = np.isin(labels, held_out)
    return Roles(
        train=others[~is_held_out[others]],
        gallery=others[is_held_out[others]],
        query=queries[is_held_out[queries]],
    )


def _rows_by_identity(labels: IndexArray) -> list[tuple[int, IndexArray]]:
    """Return each identity that has images, with its rows in increasing order."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:]) if len(present) else []
    return [(int(identity), rows) for identity, rows in zip(present, groups, strict=True)]


def _held_out(present: IndexArray, identities: tuple[str, ...], seed: int) -> IndexArray:
    """Draw the people held out of training: those with the lowest random numbers."""
    if len(present) < 2 * FEWEST_PEOPLE:
        raise DatasetError(
            f"protocol 'unseen' needs at least {2 * FEWEST_PEOPLE} people, two to hold out of "
            f"training and two to train on, got {len(present)}"
        )
    count = max(FEWEST_PEOPLE, round(HELD_OUT_SHARE * len(present)))
    lots = [_generator(seed, _Draw.HELD_OUT, identities[one]).random() for one in present]
    return present[np.argsort(lots, kind="stable")[:count]]


def _generator(seed: int, draw: _Draw, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng([seed, int(draw), int.from_bytes(digest, "little")])


def _sorted(parts: list[IndexArray]) -> IndexArray:
    empty = np.empty(0, np.int64)
    return np.sort(np.concatenate([empty, *parts])).astype(np.int64)
