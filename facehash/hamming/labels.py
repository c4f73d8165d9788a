"""Labels of codes: one identity per code, or several labels per code, and which items are relevant.

Labels are either identities, integers (n,), or label sets, bool (n, L) with L >= 2, where column l
says whether a code has label l. An item is relevant to a query if they have the same identity, or
if their label sets share at least one label. A code without any label is relevant to no query.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hamming.words import word_rows

Labels = NDArray[np.int64] | NDArray[np.bool_]
"""Identities int64 (n,), or label sets bool (n, L)."""


def check_labels(labels: ArrayLike, length: int, role: str) -> Labels:
    """Return identities as int64 (length,), or label sets as bool (length, L).

    Raises:
        CodesError: Neither integers (length,) nor booleans (length, L) with L >= 2.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.dtype == np.bool_:
        if len(array) != length or array.shape[1] < 2:
            raise CodesError(
                f"{role} label sets must have shape ({length}, L), L at least 2, got {array.shape}"
            )
        return array
    if array.shape != (length,):
        raise CodesError(
            f"{role} labels must have shape ({length},), one per code, got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise CodesError(f"{role} labels must be integers, got dtype {array.dtype}")
    return array.astype(np.int64)


def check_label_pair(
    gallery_labels: ArrayLike, query_labels: ArrayLike, gallery: int, query: int
) -> tuple[Labels, Labels]:
    """Check the labels of `gallery` and of `query` codes, which must be of the same kind.

    Raises:
        CodesError: See `check_labels`; or identities on one side and label sets on the other, or
            label sets over different numbers of labels.
    """
    of_gallery = check_labels(gallery_labels, gallery, "gallery")
    of_query = check_labels(query_labels, query, "query")
    if of_gallery.shape[1:] != of_query.shape[1:]:
        raise CodesError(
            f"gallery labels {of_gallery.shape} and query labels {of_query.shape} must both be "
            "identities (n,), or both label sets over the same L labels (n, L)"
        )
    return of_gallery, of_query


def relevance(gallery_labels: Labels, query_labels: Labels) -> NDArray[np.bool_]:
    """Return whether each gallery item is relevant to each query, bool (q, n).

    Example:
        >>> relevance(np.bool_([[1, 1], [0, 1]]), np.bool_([[1, 0]]))
        array([[ True, False]])
    """
    if gallery_labels.ndim == 1:
        return np.asarray(gallery_labels == query_labels[:, None])
    # A matrix product is much faster than (q, n, L) comparisons; float32 counts up to 2^24 exactly.
    shared = query_labels.astype(np.float32) @ gallery_labels.T.astype(np.float32)
    return np.asarray(shared > 0)


def check_findable(
    gallery_labels: Labels, query_labels: Labels, leave_one_out: bool = False
) -> None:
    """Check that every query has a relevant gallery item.

    Args:
        gallery_labels: Of n gallery items.
        query_labels: Of q queries.
        leave_one_out: Whether the queries are the gallery items, which do not find themselves.

    Raises:
        CodesError: Some queries have none; the message names the first.
    """
    fewest = 2 if leave_one_out else 1
    if gallery_labels.ndim == 1:
        present, counts = np.unique(gallery_labels, return_counts=True)
        findable = np.isin(query_labels, present[counts >= fewest])
    else:
        shared = query_labels[:, gallery_labels.sum(axis=0) >= fewest]
        findable = np.asarray(shared.any(axis=1))
    orphans = np.flatnonzero(~findable)
    if not len(orphans):
        return
    first, other = orphans[0], "any other" if leave_one_out else "any"
    if gallery_labels.ndim == 1:
        raise CodesError(
            f"{len(orphans)} of {len(query_labels)} queries have an identity without {other} "
            f"gallery item (the first is query {first}, label {query_labels[first]}); they cannot "
            "be scored, exclude them"
        )
    raise CodesError(
        f"{len(orphans)} of {len(query_labels)} queries share no label with {other} gallery item "
        f"(the first is query {first}, labels {np.flatnonzero(query_labels[first]).tolist()}); "
        "they cannot be scored, exclude them"
    )


def check_leave_one_out(
    gallery_codes: NDArray[np.generic],
    query_codes: NDArray[np.generic],
    gallery_labels: Labels,
    query_labels: Labels,
) -> None:
    """Check that queries and gallery are the same items in the same order.

    Raises:
        CodesError: They are not.
    """
    for name, gallery, query in (
        ("codes", gallery_codes, query_codes),
        ("labels", gallery_labels, query_labels),
    ):
        if not np.array_equal(gallery, query):
            raise CodesError(
                f"leave-one-out needs the gallery as queries, in the same order, but gallery and "
                f"query {name} differ"
            )


def label_words(sets: Labels) -> NDArray[np.uint64]:
    """Pack label sets bool (n, L) into words, so that AND finds shared labels.

    Returns:
        uint64 (n, ceil(L / 64)); label l is bit (l mod 64) of word (l div 64).
    """
    return word_rows(np.packbits(sets.astype(np.bool_), axis=1, bitorder="little"))
