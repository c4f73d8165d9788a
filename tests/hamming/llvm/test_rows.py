"""Every variant of the kernels against loops, whatever this processor prefers."""

import platform

import numpy as np
import pytest
from numba import njit

from facehash.hamming.llvm import rows
from facehash.hamming.llvm.intrinsics import RUN
from facehash.hamming.llvm.planes import has_planes, host_features
from facehash.hamming.llvm.rows import TOGETHER, choose_layout
from tests.helpers.facehash_command import run_python


@pytest.mark.parametrize(
    ("machine", "features", "layout"),
    [
        ("x86_64", "+sse2,+ssse3,+avx2", "nibbles"),
        ("x86_64", "+ssse3,-avx512vpopcntdq", "nibbles"),
        ("x86_64", "+ssse3,+avx2,+avx512vpopcntdq", "words"),
        ("x86_64", "+sse2", "words"),
        ("aarch64", "+neon", "bytes"),
        ("arm64", "", "bytes"),
        ("ppc64le", "+altivec", "words"),
    ],
)
def test_the_layout_follows_from_the_processor(machine, features, layout):
    assert choose_layout(machine, features) == layout


@pytest.mark.parametrize("layout", ["nibbles", "bytes"])
def test_distances_and_comparisons_of_a_run_equal_a_loop(layout):
    split, compare, measure = rows.splitter(layout), rows.comparer(layout), rows.measurer(layout)
    bits = rows.piece_bits(layout)

    @njit
    def arrange(gallery, first, out):
        for w in range(len(gallery)):
            split(gallery, w, first, out[w * 64 // bits * RUN :])

    @njit
    def find(arranged, place, tables, count, bounds, masks):
        return compare(arranged, place, tables, count, bounds, masks)

    @njit
    def store(arranged, place, tables, count, distances, position):
        measure(arranged, place, tables, count, distances, position)

    rng = np.random.default_rng(3)
    for words, count in ((1, 64 // bits), (1, 48 // bits), (3, 192 // bits)):
        gallery = rng.integers(0, 2**64, (words, 200), np.uint64)
        queries = rng.integers(0, 2**64, (TOGETHER, words), np.uint64)
        shift = np.uint64(64 - bits * count // words)
        gallery, queries = gallery >> shift, queries >> shift
        arranged = np.full(words * (64 // bits) * RUN, 255, np.uint8)
        arrange(gallery, 77, arranged)
        tables = np.empty((count, TOGETHER, 16), np.uint8)
        for t in range(count):
            for q in range(TOGETHER):
                word, place = divmod(t * bits, 64)
                own = int(queries[q, word]) >> place & (2**bits - 1)
                entries = [own] * 16 if bits == 8 else [(e ^ own).bit_count() for e in range(16)]
                tables[t, q] = entries
        expected = np.array(
            [
                [
                    sum((int(a) ^ int(b)).bit_count() for a, b in zip(code, query, strict=True))
                    for code in gallery.T[77 : 77 + RUN]
                ]
                for query in queries
            ]
        )
        distances = np.zeros((TOGETHER, 100), np.uint8)
        store(arranged, 0, tables.ravel(), count, distances, 36)
        np.testing.assert_array_equal(distances[:, 36:], expected)
        assert not distances[:, :36].any()
        bounds = np.array([np.median(expected), 0, expected[2].max(), 255], np.uint8)
        masks = np.zeros(TOGETHER, np.uint64)
        some = find(arranged, 0, tables.ravel(), count, bounds, masks)
        near = np.unpackbits(masks.view(np.uint8), bitorder="little").reshape(TOGETHER, RUN)
        np.testing.assert_array_equal(near, expected < bounds[:, None])
        assert some == near.any()


COMPARE = """
import numpy as np
from facehash.hamming.measure_numba import LAYOUT
from facehash.hamming.search import distance_histograms, top_k
rng = np.random.default_rng(0)
for bits in (48, 64, 200):
    gallery, query = (rng.integers(0, 256, (n, bits // 8), np.uint8) for n in (20_001, 14))
    labels = rng.integers(0, 9, 20_001), rng.integers(0, 9, 14)
    for one, other in zip(
        *(
            (*top_k(gallery, query, bits, 30, engine=engine),
             *distance_histograms(gallery, query, *labels, bits, engine=engine))
            for engine in ("numba", "numpy")
        )
    ):
        np.testing.assert_array_equal(one, other)
print(LAYOUT)
"""


@pytest.mark.full
@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates processors of x86")
@pytest.mark.parametrize(
    ("name", "features", "layout"),
    [
        ("haswell", "+sse2,+ssse3,+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2", "nibbles"),
        (
            "skylake-avx512",
            "+sse2,+ssse3,+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2,+avx512f,+avx512bw,+avx512vl",
            "nibbles",
        ),
        ("nehalem", "+sse2,+ssse3,+sse4.2,+popcnt", "nibbles"),
        ("x86-64", "+sse2", "words"),
    ],
)
def test_kernels_for_other_processors_of_x86_agree_with_numpy(tmp_path, name, features, layout):
    if "+avx512f" in features and not has_planes(host_features()):
        pytest.skip("this processor has no AVX-512")
    done = run_python(
        COMPARE,
        NUMBA_CPU_NAME=name,
        NUMBA_CPU_FEATURES=features,
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert done.stdout.strip() == layout, done.stderr
