"""The k nearest codes against brute force, at every length and in every form of a gallery."""

import numpy as np
import pytest

from facehash.codes import CodesError, packed_from_bits
from facehash.hamming import search as hamming
from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords

ENGINES = pytest.mark.parametrize("engine", ["numba", "numpy"])


def draw(seed, items, bits, noise=0.5):
    """Codes around one center: with little noise most of them tie."""
    rng = np.random.default_rng(seed)
    center = rng.integers(0, 2, bits)
    return packed_from_bits(center ^ (rng.random((items, bits)) < noise))


def assert_nearest(found, gallery, query, k):
    """Compare with a stable sort of the distances, computed byte by byte."""
    distances = np.bitwise_count(gallery[None] ^ query[:, None]).sum(axis=2, dtype=np.int64)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.distances, np.take_along_axis(distances, order, axis=1))
    assert found.indices.dtype == found.distances.dtype == np.int64


@ENGINES
@pytest.mark.parametrize("bits", [*range(1, 131), 191, 192, 193, 511, 1023, 1024])
def test_every_length_equals_brute_force(bits, engine):
    # More items than are ranked by counting, and not a multiple of a block or a run. Of the seven
    # queries, four are compared together, and three.
    gallery, query = draw(bits, 4999, bits), draw(1000 + bits, 7, bits)
    assert_nearest(top_k(gallery, query, bits, 10, engine=engine, threads=1), gallery, query, 10)


@ENGINES
@pytest.mark.parametrize("items", [1, 2, 127, 128, 129, 2047, 2048, 2049, 2176, 6001])
@pytest.mark.parametrize("k", [1, 7, "n - 1", "n", "more"])
def test_every_size_of_gallery_and_k_equals_brute_force(items, k, engine):
    k = {"n - 1": max(1, items - 1), "n": items, "more": items + 5}.get(k, k)
    gallery, query = draw(items, items, 70), draw(5, 5, 70)
    for threads in (1, 2):
        found = top_k(gallery, query, 70, k, threads=threads, engine=engine)
        assert_nearest(found, gallery, query, k)


@pytest.mark.parametrize("queries", [1, 3, 4, 33])
def test_any_number_of_queries_equals_brute_force(queries):
    gallery, query = draw(1, 9001, 64, noise=0.3), draw(2, queries, 64, noise=0.3)
    assert_nearest(top_k(gallery, query, 64, 50, engine="numba", threads=1), gallery, query, 50)


@ENGINES
@pytest.mark.parametrize("k", [1, 30, 600])
def test_a_gallery_in_which_every_item_is_nearer_than_the_last(engine, k):
    # Each item is a new neighbor, so the candidates are thinned out again and again.
    ones = np.arange(20_000)[::-1] // 16
    gallery = packed_from_bits(np.arange(1024) < ones[:, None])
    query = np.zeros((1, 128), np.uint8)
    assert_nearest(top_k(gallery, query, 1024, k, engine=engine), gallery, query, k)
    gallery = packed_from_bits(np.arange(252) < ones[:, None] // 5)
    query = np.zeros((4, 32), np.uint8)
    assert_nearest(top_k(gallery, query, 252, k, engine=engine), gallery, query, k)


@ENGINES
@pytest.mark.parametrize("queries", [1, 2, 3])
def test_threads_share_a_large_gallery_if_there_are_few_queries(engine, queries, monkeypatch):
    monkeypatch.setattr(hamming, "_LARGE", 1000)
    gallery, query = draw(1, 5001, 20), draw(2, queries, 20)
    for threads in (1, 2, 4, 7):
        for k in (1, 40, 3000, 6000):
            found = top_k(gallery, query, 20, k, threads=threads, engine=engine)
            assert_nearest(found, gallery, query, k)


@pytest.mark.parametrize("bits", [48, 64])
def test_packed_codes_may_be_mapped_read_only_strided_and_unaligned(tmp_path, bits):
    gallery, query = draw(3, 3000, bits), draw(4, 4, bits)
    query.setflags(write=False)
    np.save(tmp_path / "codes.npy", gallery)
    unaligned = np.empty(gallery.size + 1, np.uint8)[1:].reshape(gallery.shape)
    unaligned[:] = gallery
    strided = np.zeros((3000, 20), np.uint8)[:, 3 : 3 + gallery.shape[1]]
    strided[:] = gallery
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    for form in (mapped, unaligned, strided, np.asfortranarray(gallery)):
        assert_nearest(top_k(form, query, bits, 5), gallery, query, 5)


@ENGINES
@pytest.mark.parametrize("threads", [1, 2])
def test_an_empty_gallery_or_no_query_finds_nothing(engine, threads):
    none, some = np.zeros((0, 8), np.uint8), draw(0, 3, 64)
    options = {"threads": threads, "engine": engine}
    assert top_k(none, some, 64, 5, **options).indices.shape == (3, 0)
    assert top_k(CodeWords.of(none, 64), some, 64, 5, **options).distances.shape == (3, 0)
    assert top_k(some, none, 64, 2, **options).indices.shape == (0, 2)


@pytest.mark.parametrize(
    ("words", "bits", "message"),
    [
        (np.zeros((1, 3), np.int64), 64, r"words of 64 bits must be uint64 \(1, n\), got int64"),
        (np.zeros((3, 2), np.uint64).T, 128, "contiguous and aligned"),
        (np.zeros((1, 3), np.uint64), 2000, "1 to 1024 bits"),
    ],
)
def test_words_in_another_form_are_refused(words, bits, message):
    with pytest.raises(CodesError, match=message):
        CodeWords(words, bits)


def test_wrong_arguments_are_refused():
    words, query = CodeWords.of(draw(0, 3, 60), 60), draw(0, 3, 60)
    with pytest.raises(CodesError, match="codes of 60 bits, not 64"):
        top_k(words, query, 64, 1)
    with pytest.raises(CodesError, match="query codes have bits set beyond"):
        top_k(words, np.full((1, 8), 255, np.uint8), 60, 1)
    with pytest.raises(CodesError, match="k must be at least 1, got 0"):
        top_k(words, query, 60, 0)
