"""Who trains, who is searched, who asks: the roles of images under a protocol."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import DatasetError, IndexArray, ProtocolName

HELD_OUT_SHARE = 0.2
"""The share of people that the protocol ``"unseen"`` keeps out of training."""

FEWEST_PEOPLE = 2
"""Of one person alone nothing can be learned, and whatever is found is right."""


@dataclass(frozen=True)
class Roles:
    """Three sorted int64 index arrays into a data set's images."""

    train: IndexArray
    gallery: IndexArray
    query: IndexArray


class _Draw(IntEnum):
    """What a random draw is for; each has its own stream, so that one never moves another."""

    QUERIES = 0
    CAP = 1
    HELD_OUT = 2


def assign_roles(
    labels: IndexArray,
    identities: tuple[str, ...],
    *,
    protocol: ProtocolName,
    seed: int,
    queries_per_identity: int,
    is_query: NDArray[np.bool_] | None = None,
    max_per_identity: int | None = None,
) -> Roles:
    """Give every image its role.

    Every draw about a person comes from a generator seeded by `seed` and the person's name, so
    that adding or removing somebody leaves the others' images where they were.

    ``"seen"``: `queries_per_identity` images of each person are queries (fewer where needed to
    leave one behind; a person with one image has none), the rest is both training set and gallery.
    ``"unseen"``: a fifth of the people, at least two, is held out of training; their queries and
    the rest of their images are query and gallery, and the other people's queries have no role.

    Args:
        labels: int64 (n,), each an index into `identities`.
        identities: One name a person.
        protocol: ``"seen"`` or ``"unseen"``.
        seed: At least 0.
        queries_per_identity: At least 1; unused where `is_query` is given.
        is_query: bool (n,), of a data set that comes split: its split is kept.
        max_per_identity: How many of a person's images may train and be searched, drawn at random;
            queries are never dropped. None keeps all.

    Returns:
        The roles. Which are empty, or lack a partner, `FaceDataset.check` says.

    Raises:
        DatasetError: An unknown protocol, a number out of range, or ``"unseen"`` with fewer than
            four people: two to hold out, two to train.
    """
    _check_numbers(protocol, seed, queries_per_identity, max_per_identity)
    query, rest = [], []
    for identity, rows in _rows_by_identity(labels):
        name = identities[identity]
        if is_query is None:
            order = _generator(seed, _Draw.QUERIES, name).permutation(rows)
            count = min(queries_per_identity, len(rows) - 1)
            asked, kept = order[:count], np.sort(order[count:])
        else:
            asked, kept = rows[is_query[rows]], rows[~is_query[rows]]
        if max_per_identity is not None:
            kept = _generator(seed, _Draw.CAP, name).permutation(kept)[:max_per_identity]
        query.append(asked)
        rest.append(kept)
    queries, others = _sorted(query), _sorted(rest)
    if protocol == "seen":
        return Roles(train=others, gallery=others, query=queries)
    held_out = _held_out(np.unique(labels), identities, seed)
    strangers = np.isin(labels, held_out)
    return Roles(
        train=others[~strangers[others]],
        gallery=others[strangers[others]],
        query=queries[strangers[queries]],
    )


def _check_numbers(
    protocol: str, seed: int, queries_per_identity: int, max_per_identity: int | None
) -> None:
    if protocol not in ("seen", "unseen"):
        raise DatasetError(f"protocol {protocol!r} is neither 'seen' nor 'unseen'")
    if seed < 0:
        raise DatasetError(f"seed is {seed}, the smallest is 0")
    if queries_per_identity < 1:
        raise DatasetError(f"queries_per_identity is {queries_per_identity}, the smallest is 1")
    if max_per_identity is not None and max_per_identity < 1:
        raise DatasetError(f"max_per_identity is {max_per_identity}, the smallest is 1")


def _rows_by_identity(labels: IndexArray) -> list[tuple[int, IndexArray]]:
    """List each identity that has images with its rows in increasing order."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:]) if len(present) else []
    return [(int(identity), rows) for identity, rows in zip(present, groups, strict=True)]


def _held_out(present: IndexArray, identities: tuple[str, ...], seed: int) -> IndexArray:
    """Choose the people kept out of training: those with the lowest of one random number each."""
    if len(present) < 2 * FEWEST_PEOPLE:
        raise DatasetError(
            f"protocol 'unseen' needs at least {2 * FEWEST_PEOPLE} people, so that two can be held "
            f"out of training and two be left to it, got {len(present)}"
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
