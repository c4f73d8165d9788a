"""Asymmetric search against a plain loop, at every length and in every form of a gallery."""

import platform

import llvmlite.binding
import numpy as np
import pytest
from llvmlite import ir

from facehash.codes import CodesError, packed_from_bits, signs_from_packed
from facehash.hamming import search as hamming
from facehash.hamming.asymmetric import asymmetric_top_k
from facehash.hamming.llvm import nibbles
from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords
from tests.helpers.facehash_command import run_python

ENGINES = pytest.mark.parametrize("engine", ["numba", "numpy"])


def draw(seed, items, bits, noise=0.5):
    """Codes around one center: with little noise many of them are equal."""
    rng = np.random.default_rng(seed)
    center = rng.integers(0, 2, bits)
    return packed_from_bits(center ^ (rng.random((items, bits)) < noise))


def project(seed, queries, bits):
    return np.random.default_rng(seed).normal(size=(queries, bits)).astype(np.float32)


def loop(gallery, projections, bits):
    """The distance as it is defined, one bit after the other; float64 (q, n)."""
    signs = signs_from_packed(gallery, bits)
    distances = np.zeros((len(projections), len(gallery)))
    for row, values in enumerate(projections):
        for j in range(bits):
            unequal = signs[:, j] != (1 if values[j] >= 0 else -1)
            distances[row, unequal] += abs(float(values[j]))
    return distances


def assert_nearest(found, gallery, projections, bits, k):
    distances = loop(gallery, projections, bits)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.distances, np.take_along_axis(distances, order, axis=1))
    assert found.indices.dtype == np.int64 and found.distances.dtype == np.float64


@ENGINES
@pytest.mark.parametrize("bits", [1, 2, 7, 8, 12, 31, 48, 63, 64, 65, 100, 127, 128, 200, 1024])
def test_every_length_equals_the_loop(bits, engine):
    gallery, projections = draw(bits, 4999, bits), project(bits, 3, bits)
    found = asymmetric_top_k(gallery, projections, bits, 10, engine=engine, threads=1)
    assert_nearest(found, gallery, projections, bits, 10)


@ENGINES
@pytest.mark.parametrize("items", [1, 2, 127, 2047, 2048, 2049, 2100, 2111, 6001])
@pytest.mark.parametrize("k", [1, 7, "n - 1", "n", "more"])
def test_every_size_of_gallery_and_k_equals_the_loop(items, k, engine):
    k = {"n - 1": max(1, items - 1), "n": items, "more": items + 5}.get(k, k)
    gallery, projections = draw(items, items, 70), project(5, 5, 70)
    for threads in (1, 2):
        found = asymmetric_top_k(gallery, projections, 70, k, threads=threads, engine=engine)
        assert_nearest(found, gallery, projections, 70, k)


@ENGINES
def test_equal_codes_are_in_gallery_order(engine):
    gallery, projections = draw(3, 9000, 24, noise=0.05), project(6, 40, 24)
    for k in (1, 10, 500):
        found = asymmetric_top_k(gallery, projections, 24, k, engine=engine)
        assert_nearest(found, gallery, projections, 24, k)


@ENGINES
@pytest.mark.parametrize("weight", [0.0, 1.0, 1e-30, 1e30])
def test_equal_weights_order_like_the_hamming_distance(weight, engine):
    gallery, signs = draw(7, 7000, 64), np.sign(project(8, 4, 64))
    found = asymmetric_top_k(gallery, weight * signs, 64, 30, engine=engine)
    assert_nearest(found, gallery, (weight * signs).astype(np.float32), 64, 30)
    if weight == 1:
        nearest = top_k(gallery, packed_from_bits(signs > 0), 64, 30)
        assert np.array_equal(found.indices, nearest.indices)
        assert np.array_equal(found.distances, nearest.distances)


@ENGINES
@pytest.mark.parametrize("k", [1, 30, 600])
def test_a_gallery_in_which_every_item_is_nearer_than_the_last(engine, k):
    ones = np.arange(8_000)[::-1] // 8
    gallery = packed_from_bits(np.arange(1000) < ones[:, None])
    projections = -np.abs(project(9, 1, 1000))
    found = asymmetric_top_k(gallery, projections, 1000, k, engine=engine)
    assert_nearest(found, gallery, projections, 1000, k)


def test_uneven_weights_and_a_query_with_a_single_nonzero_projection():
    gallery, projections = draw(10, 30_000, 64), project(11, 6, 64) ** 5
    projections[0] = 0
    projections[0, 17] = -3
    found = asymmetric_top_k(gallery, projections, 64, 25)
    assert_nearest(found, gallery, projections, 64, 25)


@pytest.mark.parametrize("queries", [1, 2, 3])
def test_threads_share_a_large_gallery_if_there_are_few_queries(queries, monkeypatch):
    monkeypatch.setattr(hamming, "_LARGE", 1000)
    gallery, projections = draw(1, 5001, 20), project(2, queries, 20)
    for threads in (1, 2, 7):
        for k in (1, 40, 3000, 6000):
            found = asymmetric_top_k(gallery, projections, 20, k, threads=threads)
            assert_nearest(found, gallery, projections, 20, k)


def test_the_distance_follows_from_the_similarity():
    gallery, projections = draw(12, 500, 48), project(13, 5, 48)
    similarity = projections.astype(np.float64) @ signs_from_packed(gallery, 48).T
    found = asymmetric_top_k(gallery, projections, 48, 500)
    wanted = (np.abs(projections).sum(axis=1, keepdims=True, dtype=np.float64) - similarity) / 2
    taken = np.take_along_axis(wanted, found.indices, axis=1)
    assert np.allclose(found.distances, taken, atol=1e-5)


def test_an_empty_gallery_or_no_query_finds_nothing():
    none, some = np.zeros((0, 8), np.uint8), project(0, 3, 64)
    assert asymmetric_top_k(none, some, 64, 5).indices.shape == (3, 0)
    assert asymmetric_top_k(draw(0, 3, 64), some[:0], 64, 2).distances.shape == (0, 2)


def test_wrong_arguments_are_refused():
    words, projections = CodeWords.of(draw(0, 3, 60), 60), project(0, 2, 60)
    with pytest.raises(CodesError, match="codes of 60 bits, not 64"):
        asymmetric_top_k(words, project(0, 2, 64), 64, 1)
    with pytest.raises(CodesError, match=r"projections must be real numbers \(q, 60\), got .*59"):
        asymmetric_top_k(words, projections[:, 1:], 60, 1)
    with pytest.raises(CodesError, match="k must be at least 1, got 0"):
        asymmetric_top_k(words, projections, 60, 0)
    for value in (np.nan, np.inf, 1e300):
        wrong = projections.astype(np.float64)
        wrong[1, 3] = value
        with pytest.raises(CodesError, match=r"not finite in float32 \(row 1\)"):
            asymmetric_top_k(words, wrong, 60, 1)


def test_a_search_that_finds_enough_equal_codes_on_its_way_finds_the_first_ones():
    gallery, projections = draw(14, 20_000, 130), project(15, 2, 130)
    gallery[5000:19_000:70] = packed_from_bits(projections[:1] >= 0)
    for k in (1, 20, 150, 250):
        found = asymmetric_top_k(gallery, projections, 130, k)
        assert_nearest(found, gallery, projections, 130, k)


@pytest.mark.full
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86")
@pytest.mark.parametrize("features", ["+ssse3,+popcnt", "+sse2"])
def test_an_older_processor_finds_the_same(features, tmp_path):
    code = """
import numpy as np
from facehash.codes import packed_from_bits
from facehash.hamming.asymmetric import asymmetric_top_k
rng = np.random.default_rng(0)
for bits in (64, 130):
    gallery = packed_from_bits(rng.integers(0, 2, (9001, bits)))
    queries = rng.normal(size=(5, bits))
    one, two = (asymmetric_top_k(gallery, queries, bits, 10, engine=e) for e in ("numba", "numpy"))
    print(np.array_equal(one.indices, two.indices), np.array_equal(one.distances, two.distances))
"""
    processor = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = run_python(code, NUMBA_CACHE_DIR=str(tmp_path), **processor)
    assert done.stdout.split() == ["True"] * 4


def test_on_arm_one_instruction_looks_up_16_entries():
    class Context:
        def codegen(self):
            return self

        def magic_tuple(self):
            return "aarch64-apple-darwin23", "apple-m1", "+neon"

    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    try:
        target = llvmlite.binding.Target.from_triple("aarch64-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite has no code generator for ARM")
    entries, numbers = (ir.VectorType(ir.IntType(8), size) for size in (16, 32))
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(numbers, [entries, numbers]), "look_up")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(nibbles.look_up(builder, Context(), *function.args))
    machine = target.create_target_machine(opt=3)
    code = machine.emit_assembly(llvmlite.binding.parse_assembly(str(module)))
    assert code.count("tbl\t") == 2
