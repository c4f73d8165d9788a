"""Histograms of distances against loops over bits, and the choice of kernels."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import facehash
from facehash.codes import CodesError, packed_from_bits
from facehash.hamming import search as hamming
from facehash.hamming.search import distance_histograms, top_k
from tests.helpers.facehash_command import run_python
from tests.helpers.oracles import hamming_distance

ENGINES = pytest.mark.parametrize("engine", ["numba", "numpy"])


def make(seed, gallery=300, query=20, bits=48, identities=10):
    """Codes around few centers, so that many tie: gallery, query, and their labels."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (identities, bits))
    labels = rng.integers(0, identities, gallery), rng.integers(0, identities, query)
    codes = [
        packed_from_bits(centers[some] ^ (rng.random((len(some), bits)) < 0.2)) for some in labels
    ]
    return *codes, *labels


def assert_equal(one, other):
    assert one.all_counts.dtype == one.relevant.dtype == np.int64
    np.testing.assert_array_equal(one.all_counts, other[0])
    np.testing.assert_array_equal(one.relevant, other[1])


@ENGINES
@pytest.mark.parametrize("bits", [1, 8, 13, 64, 65, 130])
def test_histograms_equal_those_of_loops_over_bits(engine, bits):
    codes = make(bits, gallery=40, query=5, bits=bits)
    gallery, query = (np.unpackbits(c, axis=1, count=bits, bitorder="little") for c in codes[:2])
    expected = np.zeros((2, 5, bits + 1), dtype=int)
    for q in range(5):
        for g in range(40):
            distance = hamming_distance(query[q], gallery[g])
            expected[0, q, distance] += 1
            expected[1, q, distance] += codes[2][g] == codes[3][q]
    assert_equal(distance_histograms(*codes, bits, engine=engine), expected)


@pytest.mark.parametrize("bits", [*range(1, 68), 96, 127, 128, 129, 191, 192, 193, 511, 1023, 1024])
def test_numba_and_numpy_count_alike_at_every_length(bits):
    # More items than two blocks of the kernel, and not a multiple of one.
    codes = make(bits, gallery=4500, query=5, bits=bits)
    numba, numpy = (distance_histograms(*codes, bits, engine=name) for name in ("numba", "numpy"))
    assert_equal(numba, numpy)


@pytest.mark.parametrize("bits", [7, 48, 64])
@pytest.mark.parametrize(("gallery", "query"), [(63, 4), (64, 4), (40_000, 38)])
def test_pairs_of_distances_and_single_ones_are_counted_alike(bits, gallery, query):
    codes = make(bits, gallery=gallery, query=query, bits=bits)
    numba, numpy = (distance_histograms(*codes, bits, engine=name) for name in ("numba", "numpy"))
    assert_equal(numba, numpy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 40}, "gallery codes of 40 bits must have 5 bytes"),
        ({"gallery_labels": np.zeros(3, int)}, r"gallery labels must have shape \(300,\)"),
        ({"query_labels": np.zeros(20)}, "query labels must be integers, got dtype float64"),
        ({"query": np.zeros((20, 6))}, "query codes must be uint8"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"engine": "cuda"}, "auto, numba or numpy"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    names = ("gallery", "query", "gallery_labels", "query_labels")
    arguments = dict(zip(names, make(0), strict=True)) | {"bits": 48}
    with pytest.raises(CodesError, match=message):
        distance_histograms(**(arguments | change))


SEARCH = """
import sys
{}
import numpy as np
from facehash.hamming.search import top_k
codes = np.arange(4, dtype=np.uint8)[:, None]
print(top_k(codes, codes[:1], 8, 3).indices.tolist())
"""


def test_without_numba_numpy_searches_and_a_warning_is_logged():
    done = run_python(SEARCH.format("sys.modules['numba'] = None  # its import fails"))
    assert done.stdout.strip() == "[[0, 1, 2]]"
    assert "Numba cannot be used" in done.stderr


def test_missing_numba_is_an_error_only_if_it_was_chosen(monkeypatch):
    monkeypatch.setitem(sys.modules, "facehash.hamming.kernels_numba", None)
    hamming.load_kernels.cache_clear()
    gallery, query, *_ = make(0)
    assert top_k(gallery, query, 48, 3).indices.shape == (20, 3)
    with pytest.raises(ImportError):
        top_k(gallery, query, 48, 3, engine="numba")
    hamming.load_kernels.cache_clear()


@pytest.mark.full
def test_kernels_compile_if_no_cache_can_be_written(tmp_path):
    copy = tmp_path / "facehash"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(facehash.__file__).parent, copy, ignore=ignore)
    # Files in place of folders: nobody, not even root, can write a cache there.
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    (copy / "hamming" / "__pycache__").write_text("")
    code = SEARCH.format(f"sys.path.insert(0, {str(tmp_path)!r})")
    code += "import facehash; print(facehash.__file__)"
    folders = {"NUMBA_CACHE_DIR": str(blocked / "a"), "XDG_CACHE_HOME": str(blocked)}
    done = run_python(code, HOME=str(blocked), **folders)
    assert done.stdout.splitlines() == ["[[0, 1, 2]]", str(copy / "__init__.py")]
    assert done.stderr == ""
