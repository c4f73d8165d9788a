import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import facehash
from facehash.codes import CodesError, packed_from_bits
from facehash.hamming import search as hamming
from facehash.hamming.search import distance_histograms, top_k
from tests.helpers.oracles import hamming_distance


def make(seed, gallery=300, query=20, bits=48, identities=10):
    """Random codes of few distinct bytes, so that ties abound."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (identities, bits))
    labels = rng.integers(0, identities, gallery), rng.integers(0, identities, query)
    codes = [
        packed_from_bits(centers[some] ^ (rng.random((len(some), bits)) < 0.2)) for some in labels
    ]
    return codes[0], codes[1], labels[0], labels[1]


def unpack(packed, bits):
    return np.unpackbits(packed, axis=1, count=bits, bitorder="little")


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("bits", [1, 8, 13, 64, 65, 130])
def test_histograms_count_what_loops_over_bits_count(engine, bits):
    gallery, query, of_gallery, of_query = make(bits, gallery=40, query=5, bits=bits)
    found = distance_histograms(gallery, query, of_gallery, of_query, bits, engine=engine)
    all_counts = np.zeros((5, bits + 1), dtype=int)
    relevant = np.zeros((5, bits + 1), dtype=int)
    for q, asked in enumerate(unpack(query, bits)):
        for g, item in enumerate(unpack(gallery, bits)):
            distance = hamming_distance(asked, item)
            all_counts[q, distance] += 1
            relevant[q, distance] += of_gallery[g] == of_query[q]
    assert found.all_counts.dtype == found.relevant.dtype == np.int64
    assert (found.all_counts == all_counts).all()
    assert (found.relevant == relevant).all()


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("bits", [1, 8, 13, 64, 65, 130])
def test_top_k_is_a_stable_sort_by_distance(engine, bits):
    gallery, query, *_ = make(bits, gallery=40, query=5, bits=bits)
    nearest = top_k(gallery, query, bits, 7, engine=engine)
    for q, asked in enumerate(unpack(query, bits)):
        distances = [hamming_distance(asked, item) for item in unpack(gallery, bits)]
        order = sorted(range(40), key=lambda item: (distances[item], item))[:7]
        assert nearest.indices[q].tolist() == order
        assert nearest.distances[q].tolist() == [distances[item] for item in order]


@pytest.mark.parametrize("bits", [*range(1, 68), 96, 127, 128, 129, 191, 192, 193, 511, 1023, 1024])
def test_numba_and_numpy_agree_at_every_length(bits):
    # More items than two blocks of the kernel, and no multiple of one.
    gallery, query, of_gallery, of_query = make(bits, gallery=4500, query=3, bits=bits)
    for function, arguments in (
        (distance_histograms, (of_gallery, of_query, bits)),
        (top_k, (bits, 60)),
    ):
        one = function(gallery, query, *arguments, engine="numba")
        other = function(gallery, query, *arguments, engine="numpy")
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_opposite_codes_of_1024_bits_are_1024_apart():
    low, high = np.zeros((1, 128), np.uint8), np.full((1, 128), 255, np.uint8)
    for engine in ("numba", "numpy"):
        assert top_k(low, high, 1024, 1, engine=engine).distances.tolist() == [[1024]]
        counts = distance_histograms(low, high, [0], [0], 1024, engine=engine).all_counts
        assert counts[0, 1024] == 1
        assert counts.sum() == 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(0, 60), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_histograms_add_up_to_the_gallery_and_to_the_relevant(seed, bits, items, threads):
    gallery, query, of_gallery, of_query = make(seed, items, 7, bits)
    found = distance_histograms(gallery, query, of_gallery, of_query, bits, threads=threads)
    assert (found.all_counts.sum(axis=1) == items).all()
    assert (found.relevant.sum(axis=1) == (of_gallery == of_query[:, None]).sum(axis=1)).all()
    assert (found.relevant <= found.all_counts).all()
    assert (found.relevant >= 0).all()


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_the_number_of_threads_changes_nothing(engine):
    gallery, query, of_gallery, of_query = make(0, query=101)
    one = distance_histograms(gallery, query, of_gallery, of_query, 48, threads=1, engine=engine)
    for threads in (2, 3, 16):
        many = distance_histograms(
            gallery, query, of_gallery, of_query, 48, threads=threads, engine=engine
        )
        assert (one.all_counts == many.all_counts).all()
        assert (one.relevant == many.relevant).all()
        a, b = (top_k(gallery, query, 48, 9, threads=n, engine=engine) for n in (1, threads))
        assert (a.indices == b.indices).all()


def test_top_k_gives_the_whole_gallery_when_k_is_larger():
    gallery, query, *_ = make(0, gallery=5, query=2)
    assert top_k(gallery, query, 48, 50).indices.shape == (2, 5)
    assert sorted(top_k(gallery, query, 48, 50).indices[0]) == list(range(5))


def test_empty_sides_give_empty_results():
    gallery, query, of_gallery, of_query = make(0)
    none = np.zeros((0, 6), np.uint8)
    for engine in ("numba", "numpy"):
        assert top_k(none, query, 48, 3, engine=engine).indices.shape == (20, 0)
        assert top_k(gallery, none, 48, 3, engine=engine).indices.shape == (0, 3)
        nobody = np.zeros(0, dtype=int)
        counts = distance_histograms(none, query, nobody, of_query, 48, engine=engine)
        assert counts.all_counts.shape == (20, 49)
        assert counts.all_counts.sum() == 0


def test_read_only_and_strided_codes_are_taken():
    gallery, query, of_gallery, of_query = make(0)
    expected = distance_histograms(gallery, query, of_gallery, of_query, 48)
    gallery.setflags(write=False)
    strided = np.asfortranarray(query)
    found = distance_histograms(gallery, strided, of_gallery, of_query, 48)
    assert (found.all_counts == expected.all_counts).all()


def test_codes_in_sixty_four_bit_words_do_not_depend_on_their_memory_order():
    gallery, query, *_ = make(3, bits=100)
    a = top_k(gallery, query, 100, 5)
    b = top_k(np.asfortranarray(gallery), query[:, ::-1][:, ::-1], 100, 5)
    assert (a.indices == b.indices).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 40}, "gallery codes of 40 bits must have 5 bytes"),
        ({"bits": 2000}, "1 to 1024 bits"),
        ({"gallery_labels": np.zeros(3, int)}, r"gallery labels must have shape \(300,\)"),
        ({"query_labels": np.zeros(20)}, "query labels must be integers, got dtype float64"),
        ({"query": np.zeros((20, 6))}, "query codes must be uint8"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"engine": "cuda"}, "auto, numba or numpy"),
    ],
)
def test_wrong_arguments_of_histograms_are_refused(change, message):
    gallery, query, of_gallery, of_query = make(0)
    arguments = {
        "gallery": gallery,
        "query": query,
        "gallery_labels": of_gallery,
        "query_labels": of_query,
        "bits": 48,
    }
    with pytest.raises(CodesError, match=message):
        distance_histograms(**(arguments | change))


@pytest.mark.parametrize(("k", "message"), [(0, "k must be at least 1, got 0")])
def test_top_k_refuses_to_find_nothing(k, message):
    gallery, query, *_ = make(0)
    with pytest.raises(CodesError, match=message):
        top_k(gallery, query, 48, k)


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None  # makes `import numba` an ImportError
import numpy as np
from facehash.hamming.search import top_k
codes = np.arange(4, dtype=np.uint8)[:, None]
print(top_k(codes, codes[:1], 8, 3).indices.tolist())
"""


def test_without_numba_numpy_answers_and_a_warning_says_so():
    done = run_python(WITHOUT_NUMBA)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[0, 1, 2]]"
    assert "Numba cannot be used" in done.stderr


def test_numba_is_an_error_only_when_it_was_insisted_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "facehash.hamming.kernels_numba", None)
    hamming._kernels.cache_clear()
    gallery, query, *_ = make(0)
    assert top_k(gallery, query, 48, 3).indices.shape == (20, 3)
    with pytest.raises(ImportError):
        top_k(gallery, query, 48, 3, engine="numba")
    hamming._kernels.cache_clear()


def test_importing_the_retrieval_room_does_not_import_numba():
    code = "import sys, facehash.retrieval.evaluation; print('numba' in sys.modules)"
    assert run_python(code).stdout.strip() == "False"


def test_kernels_compile_where_no_cache_can_be_written(tmp_path):
    package = Path(facehash.__file__).parent
    copy = tmp_path / "facehash"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, copy, ignore=ignore)
    # Files where folders would have to be: nobody, root included, can write a cache there.
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    (copy / "retrieval" / "__pycache__").write_text("")
    code = WITHOUT_NUMBA.replace(
        'sys.modules["numba"] = None', f"sys.path.insert(0, {str(tmp_path)!r})"
    )
    code += "import facehash; print(facehash.__file__)"
    done = run_python(
        code, NUMBA_CACHE_DIR=str(blocked / "a"), XDG_CACHE_HOME=str(blocked), HOME=str(blocked)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[[0, 1, 2]]", str(copy / "__init__.py")]
    assert done.stderr == ""
