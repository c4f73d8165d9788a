import numpy as np
import pytest

from facehash.codes import CodesError, packed_from_signs, sign
from facehash.hamming.words import CodeWords
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.vectors import IndexRowsError, Space

SPACE = Space("hamming", 40)


def draw(items, queries=6):
    rng = np.random.default_rng(items)
    codes = packed_from_signs(sign(rng.normal(size=(items, 40))))
    return codes, np.arange(items) * 3 + 5, rng.normal(size=(queries, 40)).astype(np.float32)


def test_the_order_is_that_of_the_similarity_with_ties_by_id():
    codes, ids, queries = draw(300)
    codes[200:] = codes[:100]  # ties
    index = AsymmetricIndex.build(codes, ids, SPACE)
    signs = np.unpackbits(codes, axis=1, bitorder="little") * 2.0 - 1  # (n, bits)
    found = index.search(queries, 300)
    for row, query in enumerate(queries.astype(np.float64)):
        similarity = [sum(p * s for p, s in zip(query, one, strict=True)) for one in signs]
        order = sorted(range(300), key=lambda i: (-similarity[i], i))
        assert found.ids[row].tolist() == ids[order].tolist()
        shares = [1 - similarity[i] / np.abs(query).sum() for i in order]
        np.testing.assert_allclose(found.distances[row], 20 * np.array(shares), atol=1e-9)


def test_projections_of_equal_size_search_as_exact_index_does():
    codes, ids, queries = draw(3000)
    exact = ExactIndex.build(codes, ids, SPACE).search(packed_from_signs(sign(queries)), 20)
    found = AsymmetricIndex.build(codes, ids, SPACE).search(sign(queries).astype(np.float32), 20)
    assert np.array_equal(found.ids, exact.ids)
    np.testing.assert_allclose(found.distances, exact.distances, rtol=1e-12)


def test_a_query_without_any_direction_is_half_way_from_everything():
    codes, ids, queries = draw(30)
    found = AsymmetricIndex.build(codes, ids, SPACE).search(0 * queries[:1], 30)
    assert np.array_equal(found.ids, ids[None]) and (found.distances == 20).all()


@pytest.mark.parametrize(("items", "k"), [(0, 3), (2, 3), (5, 1)])
def test_a_small_index_returns_all_its_codes(items, k):
    codes, ids, queries = draw(items)
    index = AsymmetricIndex.build(codes, ids, SPACE)
    assert len(index) == items
    assert index.search(queries, k).ids.shape == (6, min(k, items))
    assert index.search(queries[:0], k).distances.shape == (0, min(k, items))


def test_wrong_rows_ids_and_queries_are_refused():
    codes, ids, queries = draw(4)
    index = AsymmetricIndex.build(codes, ids, SPACE)
    with pytest.raises(IndexRowsError, match="needs codes, not cosine vectors"):
        AsymmetricIndex.build(queries, ids, Space("cosine", 40))
    with pytest.raises(IndexRowsError, match="increasing"):
        AsymmetricIndex.build(codes, ids[::-1], SPACE)
    with pytest.raises(IndexRowsError, match="not prepared"):
        AsymmetricIndex(CodeWords.of(codes, 40), ids[1:], SPACE)
    with pytest.raises(CodesError, match=r"queries must be real numbers \(q, 40\)"):
        index.search(queries[:, 1:], 1)
    with pytest.raises(IndexRowsError, match="k must be at least 1, got 0"):
        index.search(queries, 0)
