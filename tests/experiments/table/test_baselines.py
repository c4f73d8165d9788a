"""Codes that no network was trained to give, on made-up features."""

import numpy as np
import pytest

from experiments.table import baselines
from experiments.table.baselines import Features, classifier_code, spread_codes
from facehash.codes import CodesError, bits_from_packed
from facehash.hashing import HASHERS, LABELED_HASHERS
from facehash.retrieval.evaluation import evaluate


@pytest.fixture
def features():
    """Five people of noisy looks; the gallery lies elsewhere than the training images."""
    rng = np.random.default_rng(1609)
    looks = rng.normal(size=(5, 16)) * 3
    train, gallery, query = (np.arange(count) % 5 for count in (60, 40, 10))

    def seen(labels):
        return (looks[labels] + rng.normal(size=(len(labels), 16))).astype(np.float32)

    return Features(
        train=seen(train),
        gallery=seen(gallery) + 20,
        query=seen(query) + 20,
        gallery_labels=gallery,
        query_labels=query,
        predicted=query.copy(),
        train_labels=train,
    )


def hashed(features, hasher, bits, seed):
    return baselines.encode(baselines.fit_hash(features, hasher, bits, seed), features)


@pytest.mark.parametrize("hasher", HASHERS)
def test_features_are_hashed_as_fitted_on_the_training_images(features, hasher):
    codes = hashed(features, hasher, 12, seed=3)
    fitted = HASHERS[hasher].fit(features.train, 12, 3)
    np.testing.assert_array_equal(codes.gallery_codes, fitted.encode(features.gallery))
    np.testing.assert_array_equal(codes.query_codes, fitted.encode(features.query))
    # by the mean of the gallery, which lies elsewhere, the codes would be others
    other = HASHERS[hasher].fit(features.gallery, 12, 3)
    assert (codes.gallery_codes != other.encode(features.gallery)).any()


@pytest.mark.parametrize("hasher", LABELED_HASHERS)
def test_other_hashers_also_get_the_labels_of_the_training_images(features, hasher):
    codes = hashed(features, hasher, 12, seed=3)
    fitted = LABELED_HASHERS[hasher].fit(features.train, 12, 3, labels=features.train_labels)
    np.testing.assert_array_equal(codes.gallery_codes, fitted.encode(features.gallery))
    assert (codes.gallery_codes != hashed(features, "itq", 12, seed=3).gallery_codes).any()


@pytest.mark.parametrize("hasher", [*HASHERS, *LABELED_HASHERS])
def test_a_recentred_hash_subtracts_the_mean_of_the_gallery(features, hasher):
    fitted = baselines.fit_hash(features, hasher, 12, seed=3)
    codes = baselines.encode(baselines.recentred(fitted, features), features)
    mean = features.gallery.astype(np.float64).mean(axis=0)
    expected = (features.query - mean) @ fitted.projection.astype(np.float64) / fitted.scale
    np.testing.assert_allclose(codes.query_projections, expected, rtol=1e-3, atol=1e-4)
    sides = (features.gallery_labels, features.query_labels)
    plain = baselines.encode(fitted, features)
    plain, moved = (
        evaluate(one.gallery_codes, one.query_codes, *sides, 12).metrics["mAP"]
        for one in (plain, codes)
    )
    assert moved > plain  # the gallery lies elsewhere
    assert np.abs(baselines.centered(features).gallery.mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize("bits", [3, 8, 13, 48])
def test_a_classifier_that_is_always_right_scores_one(features, bits):
    codes = classifier_code(features, bits, seed=0)
    sides = (codes.gallery_codes, codes.query_codes, codes.gallery_labels, codes.query_labels)
    found = evaluate(*sides, bits).metrics
    for name in ("mAP", "mAP_lower", "mAP_upper", "R-precision", "R@r2"):
        assert found[name] == pytest.approx(1)


def test_the_gallery_is_coded_by_its_labels_and_a_query_by_its_prediction(features):
    features.predicted[:2] = 2, 9  # nobody in the gallery has label 9
    codes = classifier_code(features, 24, seed=0)
    of = [np.unique(codes.gallery_codes[features.gallery_labels == i], axis=0) for i in range(5)]
    assert [len(found) for found in of] == [1] * 5
    assert len(np.unique(np.concatenate(of), axis=0)) == 5
    np.testing.assert_array_equal(codes.query_codes[0], of[2][0])
    assert codes.query_codes[1].tobytes() not in {found.tobytes() for found in of}


@pytest.mark.parametrize("count, bits", [(1, 1), (2, 1), (8, 3), (200, 8), (83, 12), (83, 48)])
def test_spread_codes_are_distinct(count, bits):
    codes = spread_codes(count, bits, seed=0)
    assert codes.shape == (count, (bits + 7) // 8)
    assert len(np.unique(codes, axis=0)) == count


def test_each_spread_code_is_the_farthest_of_those_tried():
    # Five codes of 3 bits: of 64 tried, some are at distance 3 of the first, so the second is its
    # opposite; the rest can only be at distance 1 of one of them.
    codes = bits_from_packed(spread_codes(5, 3, seed=4), 3)
    assert (codes[1] == 1 - codes[0]).all()


def test_more_bits_or_people_than_possible_are_refused(features):
    with pytest.raises(CodesError, match="17 bits need vectors of length 17"):
        hashed(features, "itq", 17, seed=0)
    with pytest.raises(CodesError, match="2 bits give 4 codes, fewer than the 5 people"):
        classifier_code(features, 2, seed=0)
