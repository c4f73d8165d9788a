"""Protocols: which images are for training, which form the gallery, and which are queries."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from data.labeled_images import KNOWN_OR_QUERY, Role
from facehash.config import DatasetConfig
from facehash.dataset import DatasetError, IndexArray, Items
from facehash.runs.fingerprint import Hashes, picture_hashes

HELD_OUT_SHARE = 0.2  # of the people, whom the protocol "unseen" holds out of training
FEWEST_PEOPLE = 2
"""With one person there is nothing to learn, and every result is correct."""
FEWEST_IMAGES = 2  # of a person, so that each is found by another


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
    images: Items | None = None,
    present: NDArray[np.bool_] | None = None,
) -> Roles:
    """Assign a role to every image.

    What is decided about a person depends on `config.split_seed` and on the person's name or
    pictures only, so adding or removing a person does not change the roles of the others' images.

    ``"seen"``: `config.queries_per_identity` images of each person are queries, but at least one
    image per person is not; all other images are both training set and gallery.
    ``"unseen"``: a fifth of the people, at least two, are held out of training. Of their images,
    those that would be queries are queries and the others are the gallery; the queries of the
    other people have no role. Each person has a random number, and those with the lowest are held
    out: adding a person changes this for at most one other.
    ``"leave_one_out"``: people are held out in the same way, but only people with at least two
    images. All their images are both gallery and queries; all other images are the training set.

    At most `config.max_per_identity` training and gallery images per person are kept; queries are
    never dropped.

    `config.split` says which images these are:

    ``"drawn"``: a random draw among the rows of a person. One more photo changes the draw.
    ``"content"``: each person's pictures are ranked by a hash of the seed and the pixels. Those
    with the lowest hashes are queries, and a cap keeps those with the highest. One more photo
    changes the role of at most one other picture of that person, and copies of a picture share a
    role: they count as one query, and only the cap tells them apart.

    Args:
        config: Protocol and numbers.
        labels: int64 (n,), each an index into `identities`.
        identities: One name per person.
        is_query: bool (n,) for data that comes split; its split is kept.
        images: uint8 (n, side, side, 3), or vectors float32 (n, d); read for ``"content"`` only,
            and then required.
        present: bool (n,), false for images that get no role, as if they did not exist.

    Returns:
        The roles; `FaceDataset.check` refuses empty ones.

    Raises:
        DatasetError: Fewer than four people to hold out of training: two to hold out, two to train
            on.
    """
    hashes: Hashes | None = None
    if config.protocol == "leave_one_out":
        is_query = np.zeros(len(labels), np.bool_)  # nobody needs a query among these images
    if config.split == "content" and (is_query is None or config.max_per_identity is not None):
        if images is None:
            raise ValueError("split 'content' needs the images")
        hashes = picture_hashes(images, np.arange(len(labels)), config.split_seed)
    used = np.arange(len(labels)) if present is None else np.flatnonzero(present)
    query, rest = [], []
    for identity, places in _rows_by_identity(labels[used]):
        rows = used[places]
        if hashes is None:
            queried, kept = _draw(config, identities[identity], rows, is_query)
        else:
            queried, kept = _rank(config, rows, hashes[rows], is_query)
        query.append(queried)
        rest.append(kept)
    queries, others = _sorted(query), _sorted(rest)
    if config.protocol == "seen":
        return Roles(train=others, gallery=others, query=queries)
    people = np.unique(labels[used])
    if config.protocol == "leave_one_out":
        # A person with a single image would find nothing, but can be learned from.
        kept_people, counts = np.unique(labels[others], return_counts=True)
        people = kept_people[counts >= FEWEST_IMAGES]
    held_out = _held_out(people, identities, config)
    is_held_out = np.isin(labels, held_out)
    gallery = others[is_held_out[others]]
    return Roles(
        train=others[~is_held_out[others]],
        gallery=gallery,
        query=queries[is_held_out[queries]] if config.protocol == "unseen" else gallery,
    )


def _draw(
    config: DatasetConfig, name: str, rows: IndexArray, is_query: NDArray[np.bool_] | None
) -> tuple[IndexArray, IndexArray]:
    """Draw the queries of one person, and the other images that are kept."""
    seed, limit = config.split_seed, config.max_per_identity
    if is_query is None:
        order = _generator(seed, _Draw.QUERIES, name).permutation(rows)
        count = min(config.queries_per_identity, len(rows) - 1)
        queried, kept = order[:count], np.sort(order[count:])
    else:
        queried, kept = rows[is_query[rows]], rows[~is_query[rows]]
    if limit is not None:
        kept = _generator(seed, _Draw.CAP, name).permutation(kept)[:limit]
    return queried, kept


def _rank(
    config: DatasetConfig,
    rows: IndexArray,
    hashes: Hashes,
    is_query: NDArray[np.bool_] | None,
) -> tuple[IndexArray, IndexArray]:
    """Choose the queries of one person, and the other images that are kept, by their hashes."""
    order = np.argsort(hashes, kind="stable")
    rows, hashes = rows[order], hashes[order]
    if is_query is None:
        pictures = np.unique(hashes)
        count = min(config.queries_per_identity, len(pictures) - 1)
        queried, kept = rows[hashes < pictures[count]], rows[hashes >= pictures[count]]
    else:
        queried, kept = rows[is_query[rows]], rows[~is_query[rows]]
    # From the other end than the queries: else one more photo could change two roles.
    return queried, kept[-config.max_per_identity :] if config.max_per_identity else kept


def given_roles(
    config: DatasetConfig,
    labels: IndexArray,
    identities: tuple[str, ...],
    roles: NDArray[np.uint8],
) -> Roles:
    """Return the roles of data that comes split into training set, gallery and queries.

    With ``"leave_one_out"`` gallery and queries are one set of images: the gallery of the data if
    it is not the training set, or else its queries.

    At most `config.max_per_identity` training images and as many gallery images per person are
    kept, drawn at random.

    Args:
        config: Protocol and numbers.
        labels: int64 (n,), each an index into `identities`.
        identities: One name per person.
        roles: uint8 (n,) of `data.labeled_images.Role`.

    Raises:
        DatasetError: The people of the queries are in the training set and the protocol is
            ``"unseen"`` or ``"leave_one_out"``, or they are not and it is ``"seen"``; or
            ``"leave_one_out"`` with queries other than the gallery.
    """
    if config.protocol == "leave_one_out":
        roles = _one_set(config, roles)
    chosen: dict[Role, IndexArray] = {}
    for role in Role:
        rows = np.flatnonzero(roles & role).astype(np.int64)
        if role is not Role.QUERY and config.max_per_identity is not None:
            kept = []
            for identity, own in _rows_by_identity(labels[rows]):
                generator = _generator(config.split_seed, _Draw.CAP, identities[identity])
                kept.append(rows[generator.permutation(own)[: config.max_per_identity]])
            rows = _sorted(kept)
        chosen[role] = rows
    if config.protocol == "leave_one_out":
        chosen[Role.QUERY] = chosen[Role.GALLERY]
    queried = np.unique(labels[chosen[Role.QUERY]])
    seen = np.isin(queried, labels[chosen[Role.TRAIN]])
    wrong = queried[~seen if config.protocol == "seen" else seen]
    if len(wrong):
        other = {"seen": "unseen", "unseen": "seen"}.get(config.protocol)
        everyone = other is not None and len(wrong) == len(queried)
        remedy = f"set dataset.protocol to {other}" if everyone else "remove them from one of both"
        raise DatasetError(
            f"{config.name}: protocol {config.protocol!r}, but {len(wrong)} of {len(queried)} "
            f"people with queries are {'not in' if config.protocol == 'seen' else 'in'} the "
            f"training set, such as {identities[wrong[0]]!r}; {remedy}"
        )
    return Roles(chosen[Role.TRAIN], chosen[Role.GALLERY], chosen[Role.QUERY])


def _one_set(config: DatasetConfig, roles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return roles in which the gallery, or without one the queries, are both."""
    has_gallery_apart = not np.isin(roles, KNOWN_OR_QUERY).all()
    gallery = ((roles & Role.GALLERY) > 0) & has_gallery_apart
    query = (roles & Role.QUERY) > 0
    if gallery.any() and query.any() and (gallery != query).any():
        raise DatasetError(
            f"{config.name}: protocol 'leave_one_out' needs the same images as gallery and "
            f"queries, got {gallery.sum()} gallery images and {query.sum()} queries, "
            f"{(gallery & query).sum()} of them both; give only one of the two roles"
        )
    both = np.where(gallery | query, Role.GALLERY | Role.QUERY, 0)
    return np.asarray(both | (roles & Role.TRAIN), np.uint8)


def _rows_by_identity(labels: IndexArray) -> list[tuple[int, IndexArray]]:
    """Return each identity that has images, with its rows in increasing order."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:]) if len(present) else []
    return [(int(identity), rows) for identity, rows in zip(present, groups, strict=True)]


def _held_out(
    present: IndexArray, identities: tuple[str, ...], config: DatasetConfig
) -> IndexArray:
    """Draw the people held out of training: those with the lowest random numbers."""
    seed = config.split_seed
    if len(present) < 2 * FEWEST_PEOPLE:
        images = f" with {FEWEST_IMAGES} images" if config.protocol == "leave_one_out" else ""
        raise DatasetError(
            f"protocol {config.protocol!r} needs at least {2 * FEWEST_PEOPLE} people{images}, two "
            f"to hold out of training and two to train on, got {len(present)}"
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
