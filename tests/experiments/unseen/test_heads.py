"""Heads: fitted to other people or to a library, moved to another mean, against loops."""

import numpy as np
import pytest

from experiments.unseen.heads import (
    PrincipalSigns,
    ProductCodes,
    constants_of,
    fit_head,
    recentred,
)
from experiments.unseen.protocol import LabeledVectors
from facehash.codes import CodesError
from facehash.errors import InputError
from facehash.hashing import LinearHash
from facehash.vectors import unit_rows

METHODS = ("lsh", "pca", "itq", "witq", "ndh", "opq")


def people(seed, count=100, dimension=16):
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(count), 3)
    rows = rng.normal(size=(count, dimension))[names]
    rows = rows + 0.4 * rng.normal(size=(3 * count, dimension))
    rows = rows * np.linspace(2, 0.5, dimension) + 0.5
    return LabeledVectors(unit_rows(rows.astype(np.float32)), np.array([f"p{n}" for n in names]))


TRAIN, GALLERY = people(0), people(1).rows + np.float32(0.1)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_fitted_to_others_moved_or_adapted(method):
    others = fit_head(method, 16, 0, TRAIN)
    moved, adapted = recentred(others, GALLERY), fit_head(method, 16, 0, TRAIN, GALLERY)
    np.testing.assert_allclose(others.mean, TRAIN.rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(moved.mean, GALLERY.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(adapted.mean, GALLERY.mean(axis=0), atol=1e-6)
    codes = [head.encode(GALLERY) for head in (others, moved, adapted)]
    assert all(code.shape == (300, 2) for code in codes)
    if method != "opq":  # it has room for the offset in its centroids
        # Centered on the library, every bit splits it about evenly.
        means = [np.unpackbits(code, axis=1, bitorder="little").mean(axis=0) for code in codes]
        assert np.abs(means[1] - 0.5).max() < np.abs(means[0] - 0.5).max()
    again = fit_head(method, 16, 0, TRAIN, GALLERY)
    np.testing.assert_array_equal(again.encode(GALLERY), codes[2])


def test_moving_a_head_keeps_its_hyperplanes_and_scale():
    head = fit_head("itq", 8, 0, TRAIN)
    moved = recentred(head, GALLERY)
    shift = head.mean - moved.mean
    np.testing.assert_allclose(
        moved.projections(TRAIN.rows - shift), head.projections(TRAIN.rows), atol=1e-4
    )


def test_the_signs_of_principal_components_are_those_of_a_singular_value_decomposition():
    head = PrincipalSigns.fit(TRAIN.rows, 8, 0)
    centered = TRAIN.rows - TRAIN.rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centered.astype(np.float64), full_matrices=False)
    expected = centered @ directions[:8].T
    ours = head.project(TRAIN.rows)
    flips = np.sign((ours * expected).sum(axis=0))
    np.testing.assert_allclose(ours * flips, expected, atol=1e-4)
    assert isinstance(head, LinearHash) and head.scale is not None
    with pytest.raises(CodesError, match="pca: 17 bits need vectors of length 17, got 16"):
        PrincipalSigns.fit(TRAIN.rows, 17, 0)


def test_product_codes_are_the_nearest_centroids_and_distances_those_of_their_vectors():
    head = ProductCodes.fit(TRAIN.rows, 32, 0)
    np.testing.assert_allclose(head.rotation @ head.rotation.T, np.eye(16), atol=1e-4)
    codes = head.encode(GALLERY)
    assert codes.shape == (300, 4)
    rotated = head.rotated(GALLERY)
    np.testing.assert_allclose(np.linalg.norm(rotated, axis=1), 1, atol=1e-4)
    meant = np.zeros_like(rotated)
    for face in range(20):
        for part in range(4):
            own = rotated[face, 4 * part : 4 * part + 4]
            far = [np.sum((own - center) ** 2) for center in head.centroids[part]]
            assert codes[face, part] == int(np.argmin(far))
            meant[face, 4 * part : 4 * part + 4] = head.centroids[part, codes[face, part]]
    distances = head.distances(GALLERY[:5], codes[:20])
    loop = [[np.sum((rotated[q] - meant[n]) ** 2) for n in range(20)] for q in range(5)]
    np.testing.assert_allclose(distances, loop, atol=1e-6)


def test_product_codes_are_those_of_faiss():
    import faiss

    head = ProductCodes.fit(TRAIN.rows, 32, 0)
    quantizer = faiss.ProductQuantizer(16, 4, 8)
    faiss.copy_array_to_vector(head.centroids.ravel(), quantizer.centroids)
    theirs = quantizer.compute_codes(np.ascontiguousarray(head.rotated(GALLERY), np.float32))
    assert np.mean(theirs == head.encode(GALLERY)) > 0.999  # ties by rounding
    # A better quantizer than without its rotation.
    plain = faiss.ProductQuantizer(16, 4, 8)
    rows = unit_rows(TRAIN.rows - head.mean)
    plain.train(rows)
    lost = ((plain.decode(plain.compute_codes(rows)) - rows) ** 2).sum()
    assert head.distances(TRAIN.rows, head.encode(TRAIN.rows)).trace() < lost


def test_product_codes_refuse_what_does_not_divide():
    with pytest.raises(InputError, match="24 bits need at least 256 vectors whose length"):
        ProductCodes.fit(TRAIN.rows, 24, 0)
    with pytest.raises(InputError, match="at least 256 vectors.*100, 16"):
        ProductCodes.fit(TRAIN.rows[:100], 32, 0)


def test_settings_that_change_the_numbers_of_a_method_are_recorded():
    assert constants_of("witq")["SHRINK"] == 0.1
    assert {"TEACHER", "STUDENT", "STEPS", "SHRINK"} <= constants_of("ndh").keys()
    assert constants_of("itq") == {"ITERATIONS": 50}
    assert constants_of("opq") == {}
