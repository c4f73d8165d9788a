"""Label sets and leave-one-out in the histograms, against loops over pairs."""

import numpy as np
import pytest

from facehash.codes import CodesError, packed_from_bits
from facehash.hamming.labels import check_findable, check_leave_one_out, relevance
from facehash.hamming.search import distance_histograms
from tests.helpers.oracles import hamming_distance

ENGINES = pytest.mark.parametrize("engine", ["numba", "numpy"])


def make(bits, labels, gallery=40, query=6, seed=0):
    """Bits and label sets of a gallery and of queries; some have no label."""
    rng = np.random.default_rng(seed)
    sizes = (gallery, query)
    codes = [rng.integers(0, 2, (size, bits)) for size in sizes]
    return *codes, *(rng.random((size, labels)) < 2 / labels for size in sizes)


def loop(gallery, query, of_gallery, of_query, alone):
    """Count pairs one by one; a query without itself if `alone`."""
    bits = gallery.shape[1]
    counts = np.zeros((2, len(query), bits + 1), int)
    for q in range(len(query)):
        for g in range(len(gallery)):
            if alone and q == g:
                continue
            distance = hamming_distance(query[q], gallery[g])
            counts[0, q, distance] += 1
            counts[1, q, distance] += any(
                a and b for a, b in zip(of_gallery[g], of_query[q], strict=True)
            )
    return counts


@ENGINES
@pytest.mark.parametrize(
    ("bits", "labels"), [(1, 2), (13, 3), (64, 63), (70, 64), (48, 65), (9, 200)]
)
def test_items_that_share_a_label_are_counted_as_in_a_loop(engine, bits, labels):
    gallery, query, *sets = make(bits, labels)
    found = distance_histograms(
        packed_from_bits(gallery), packed_from_bits(query), *sets, bits, engine=engine
    )
    expected = loop(gallery, query, *sets, alone=False)
    np.testing.assert_array_equal(found.all_counts, expected[0])
    np.testing.assert_array_equal(found.relevant, expected[1])


@ENGINES
@pytest.mark.parametrize("labels", [None, 5, 130])
def test_with_leave_one_out_a_query_does_not_count_itself(engine, labels):
    gallery, _, sets, _ = make(12, labels or 4, gallery=25)
    given = sets
    if labels is None:
        given = np.arange(25) % 4
        sets = np.eye(4, dtype=bool)[given]
    gallery[7] = gallery[3]  # an equal code still counts
    packed = packed_from_bits(gallery)
    found = distance_histograms(
        packed, packed, given, given, 12, leave_one_out=True, engine=engine, threads=2
    )
    expected = loop(gallery, gallery, sets, sets, alone=True)
    np.testing.assert_array_equal(found.all_counts, expected[0])
    np.testing.assert_array_equal(found.relevant, expected[1])


def test_many_items_are_counted_alike_by_both_engines():
    # More items than two blocks of the kernel, and not a multiple of one.
    gallery, query, *sets = make(1024, 70, gallery=4500, query=3)
    codes = packed_from_bits(gallery), packed_from_bits(query)
    numba, numpy = (
        distance_histograms(*codes, *sets, 1024, engine=name) for name in ("numba", "numpy")
    )
    np.testing.assert_array_equal(numba.all_counts, numpy.all_counts)
    np.testing.assert_array_equal(numba.relevant, numpy.relevant)


def test_one_hot_label_sets_are_identities():
    identities = np.arange(30) % 7
    codes = packed_from_bits(make(20, 2, gallery=30)[0])
    one_hot = np.eye(7, dtype=bool)[identities]
    plain = distance_histograms(codes, codes[:5], identities, identities[:5], 20)
    sets = distance_histograms(codes, codes[:5], one_hot, one_hot[:5], 20)
    np.testing.assert_array_equal(plain.relevant, sets.relevant)
    assert (relevance(identities, identities[:5]) == relevance(one_hot, one_hot[:5])).all()


SETS = np.bool_([[1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("labels", "alone", "message"),
    [
        ([5, 5, 6], True, "1 of 3 queries .* without any other gallery item .*query 2, label 6"),
        (SETS[:3], True, r"1 of 3 queries share no label with any other .*query 0, labels \[0\]"),
        (SETS, False, r"1 of 4 queries share no label with any gallery .*query 3, labels \[\]"),
    ],
)
def test_queries_with_nothing_to_find_are_refused(labels, alone, message):
    with pytest.raises(CodesError, match=message):
        check_findable(np.array(labels), np.array(labels), alone)
    check_findable(np.array(labels)[:2], np.array(labels)[:2])


@pytest.mark.parametrize(
    ("of_gallery", "of_query", "message"),
    [
        (SETS, np.arange(4), r"gallery labels \(4, 3\) and query labels \(4,\) must both be"),
        (SETS, SETS[:, :2], r"over the same L labels"),
        (SETS[:, :1], SETS[:, :1], r"gallery label sets must have shape \(4, L\), L at least 2"),
        (SETS.astype(int), SETS, r"gallery labels must have shape \(4,\)"),
    ],
)
def test_labels_of_different_kinds_are_refused(of_gallery, of_query, message):
    codes = np.zeros((4, 1), np.uint8)
    with pytest.raises(CodesError, match=message):
        distance_histograms(codes, codes, of_gallery, of_query, 8)


def test_leave_one_out_refuses_queries_other_than_the_gallery():
    codes, labels = np.arange(4, dtype=np.uint8)[:, None], np.zeros(4, int)
    check_leave_one_out(codes, codes, labels, labels)
    with pytest.raises(CodesError, match="gallery and query codes differ"):
        check_leave_one_out(codes, codes[::-1], labels, labels)
    with pytest.raises(CodesError, match="gallery and query labels differ"):
        check_leave_one_out(codes, codes, labels, labels + 1)
