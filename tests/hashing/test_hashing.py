"""Random hyperplanes and iterative quantization, against oracles written from the papers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, bits_from_packed, packed_from_signs, sign
from facehash.hashing import HASHERS, IterativeQuantization, LinearHash, RandomHyperplanes
from facehash.hashing.itq import principal_components, rotation

BOTH = pytest.mark.parametrize("hasher", HASHERS.values(), ids=HASHERS)


@pytest.fixture
def rng():
    return np.random.default_rng(2011)


@pytest.fixture
def vectors(rng):
    """Correlated, far from the origin, as embeddings are."""
    return (rng.normal(size=(300, 24)) @ rng.normal(size=(24, 24)) + 7).astype("float32")


@BOTH
def test_bits_are_the_signs_of_centered_products(hasher, vectors):
    hashed = hasher.fit(vectors, 11, seed=3)
    columns, mean = hashed.projection.astype(np.float64).T, hashed.mean.astype(np.float64)
    expected = [
        [int(sum(c * p for c, p in zip(vector - mean, w, strict=True)) >= 0) for w in columns]
        for vector in vectors[:40].astype(np.float64)
    ]
    assert bits_from_packed(hashed.encode(vectors[:40]), 11).tolist() == expected


@BOTH
def test_codes_depend_on_the_seed_and_survive_storage(hasher, vectors):
    fitted = [hasher.fit(vectors, 9, seed) for seed in (5, 5, 6)]
    codes = [hashed.encode(vectors) for hashed in fitted]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any()
    restored = hasher.from_arrays(fitted[0].arrays())
    assert (restored.bits, restored.dimension) == (9, 24)
    np.testing.assert_array_equal(restored.encode(vectors), codes[0])


def test_a_bit_of_random_hyperplanes_differs_as_often_as_the_angle_says(rng):
    one = rng.normal(size=64)
    other = rng.normal(size=64)
    angle = np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    shares = []
    for seed in range(20):
        hashed = RandomHyperplanes.fit(np.stack([one, -one]), 1024, seed)  # mean 0
        bits = bits_from_packed(hashed.encode(np.stack([one, other])), 1024)
        shares.append((bits[0] != bits[1]).mean())
    # 20,480 independent bits: three standard deviations are 0.0105.
    assert np.mean(shares) == pytest.approx(angle / np.pi, abs=0.0105)


def test_principal_components_span_what_a_decomposition_of_the_data_does(vectors):
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    ours = principal_components(centred, 5)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(ours * directions[:5].T, axis=0)), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(centred @ ours, axis=0), singular[:5], rtol=1e-5)


def test_no_rotation_fits_the_corners_of_a_round_better(rng):
    """Given the corners, the rotation solves the orthogonal Procrustes problem: others lose."""
    vectors = rng.normal(size=(150, 5))
    before = rotation(vectors, seed=0, iterations=3)
    corners = np.where(vectors @ before >= 0, 1, -1)
    after = rotation(vectors, seed=0, iterations=4)
    np.testing.assert_allclose(after @ after.T, np.eye(5), atol=1e-12)
    best = np.square(corners - vectors @ after).sum()
    for _ in range(300):
        other, _ = np.linalg.qr(rng.normal(size=(5, 5)))
        assert np.square(corners - vectors @ other).sum() >= best
        # ... and so do small rotations of the best one.
        near, _ = np.linalg.qr(after + 0.05 * rng.normal(size=(5, 5)))
        near *= np.sign(np.sum(near * after, axis=0))
        assert np.square(corners - vectors @ near).sum() >= best - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 99))
def test_vectors_without_full_rank_are_hashed(rows, dimension, seed):
    vectors = np.random.default_rng(seed).integers(0, 2, (rows, dimension)).astype("float32")
    for hasher in HASHERS.values():
        codes = hasher.fit(vectors, dimension, seed).encode(vectors)
        same = {v.tobytes(): c.tobytes() for v, c in zip(vectors, codes, strict=True)}
        assert all(same[v.tobytes()] == c.tobytes() for v, c in zip(vectors, codes, strict=True))


@BOTH
@pytest.mark.parametrize(
    "broken, message",
    [
        (np.zeros((1, 4)), "at least two vectors are needed, got 1"),
        (np.zeros(4), r"real numbers \(n, d\)"),
        (np.array([[0, 1.0], [np.nan, 2]]), "1 of 2 vectors contain NaN or infinity.*number 1"),
    ],
)
def test_vectors_that_cannot_be_fitted_on_are_refused(hasher, broken, message):
    with pytest.raises(CodesError, match=message):
        hasher.fit(broken, 1, seed=0)


def test_only_random_hyperplanes_give_more_bits_than_dimensions(vectors):
    with pytest.raises(CodesError, match="25 bits need vectors of length 25 or more, got length"):
        IterativeQuantization.fit(vectors, 25, seed=0)
    assert RandomHyperplanes.fit(vectors, 25, seed=0).bits == 25


@BOTH
def test_vectors_and_stored_arrays_that_do_not_fit_are_refused(hasher, vectors):
    hashed = hasher.fit(vectors, 8, seed=0)
    with pytest.raises(CodesError, match="fitted on vectors of length 24, got 23"):
        hashed.encode(vectors[:, :23])
    arrays = hashed.arrays()
    with pytest.raises(CodesError, match="lack 'mean'"):
        hasher.from_arrays({"projection": arrays["projection"]})
    with pytest.raises(CodesError, match=r"mean must be \(d,\)"):
        hasher.from_arrays(arrays | {"mean": arrays["mean"][:5]})
    with pytest.raises(CodesError, match="not finite"):
        hasher.from_arrays(arrays | {"mean": arrays["mean"] * np.nan})


@BOTH
def test_projections_have_the_signs_of_the_codes_and_mean_size_1(hasher, vectors):
    hashed = hasher.fit(vectors, 8, seed=0)
    found = hashed.projections(vectors)
    assert found.dtype == np.float32 and found.shape == (len(vectors), 8)
    assert np.array_equal(packed_from_signs(sign(found)), hashed.encode(vectors))
    np.testing.assert_allclose(np.abs(found).mean(axis=0), 1, rtol=1e-5)
    by_hand = (vectors - hashed.mean) @ hashed.projection
    np.testing.assert_allclose(found, by_hand / np.abs(by_hand).mean(axis=0), atol=1e-4)


@BOTH
def test_a_stored_hash_keeps_its_scale_and_one_of_0_1_0_has_none(hasher, vectors):
    hashed = hasher.fit(vectors, 8, seed=0)
    restored = hasher.from_arrays(hashed.arrays())
    assert np.array_equal(restored.projections(vectors), hashed.projections(vectors))
    old = {name: hashed.arrays()[name] for name in ("mean", "projection")}
    without = hasher.from_arrays(old)
    assert without.scale is None and without.arrays().keys() == old.keys()
    assert np.array_equal(without.encode(vectors), hashed.encode(vectors))
    with pytest.raises(CodesError, match="has no scale"):
        without.projections(vectors)
    np.testing.assert_allclose(without.with_scale(vectors).scale, hashed.scale, rtol=1e-6)


def test_a_bit_that_is_always_zero_hardly_counts(vectors):
    projection = np.eye(24)[:, :3] * [1, 1, 0]
    hashed = LinearHash(np.zeros(24), projection).with_scale(vectors)
    assert hashed.scale[2] == hashed.scale.max() > 0
    assert np.abs(hashed.projections(vectors)[:, 2]).max() == 0


def test_a_scale_and_a_format_that_do_not_fit_are_refused(vectors):
    arrays = RandomHyperplanes.fit(vectors, 8, seed=0).arrays()
    for wrong in (arrays["scale"][1:], arrays["scale"] * 0, arrays["scale"] * np.nan):
        with pytest.raises(CodesError, match=r"scale must be \(8,\), finite and positive"):
            RandomHyperplanes.from_arrays(arrays | {"scale": wrong})
    with pytest.raises(CodesError, match="format 3, this facehash reads up to 2; upgrade"):
        RandomHyperplanes.from_arrays(arrays | {"format": np.array(3)})
    with pytest.raises(CodesError, match="at least one vector"):
        LinearHash(np.zeros(24), np.eye(24)).with_scale(vectors[:0])
