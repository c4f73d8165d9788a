import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.run.author_evaluator import bit_weights, expand, metrics_author
from facehash.codes import packed_from_bits, packed_from_signs
from facehash.hamming.search import top_k
from tests.helpers import oracles

GOLDEN = Path(__file__).parents[2] / "golden"
LENGTHS = (8, 12, 16, 20, 24, 32, 36, 48, 64)


def golden(length):
    published = json.loads((GOLDEN / "author_evaluator.json").read_text())[str(length)]
    with np.load(GOLDEN / "author_evaluator_codes.npz") as arrays:
        names = ("gallery", "query", "gallery_labels", "query_labels")
        return published["as_published_signs"], [arrays[f"{name}_{length}"] for name in names]


def distances_by_gallery_index(gallery, query, bits):
    """The authors' distances of one query to every gallery item, from the kernels."""
    wide_gallery, length = expand(gallery, bits)
    wide_query, _ = expand(query, bits)
    nearest = top_k(wide_gallery, wide_query, length, len(gallery))
    return nearest.distances[0][np.argsort(nearest.indices[0])]


@pytest.mark.parametrize("length", LENGTHS)
def test_it_equals_the_outputs_of_the_authors_unmodified_code(length):
    published, (gallery, query, of_gallery, of_query) = golden(length)
    packed = packed_from_signs(gallery), packed_from_signs(query)
    found = metrics_author(*packed, of_gallery, of_query, length)
    expected = {
        "mAP": published["mAP_stable_argsort"],
        "P@r2": published["precision_radius_2"],
        "R@r2": published["recall_radius_2"],
        "P@50": published["precision_at_50_stable_argsort"],
    }
    assert found == pytest.approx(expected, abs=1e-9)
    distances = distances_by_gallery_index(packed[0], packed[1][:1], length)
    assert distances[:20].tolist() == published["distance_row_0"]


@pytest.mark.parametrize(
    ("bits", "weights"),
    [
        (12, [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 4]),
        (9, [1, 1, 1, 1, 1, 1, 1, 0, 7]),
        (1, [7]),
    ],
)
def test_each_bit_has_the_weight_of_the_published_packer(bits, weights):
    assert bit_weights(bits).tolist() == weights
    assert bit_weights(48).sum() == 42


@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
@settings(deadline=None, max_examples=40)
def test_it_is_a_loop_over_weighted_distances_at_any_length(seed, bits):
    rng = np.random.default_rng(seed)
    gallery, query = rng.integers(0, 2, (70, bits)), rng.integers(0, 2, (3, bits))
    of_gallery, of_query = np.arange(70) % 4, rng.integers(0, 4, 3)
    weights = bit_weights(bits)
    sums = np.zeros(4)
    for q in range(3):
        distances = [int(weights[query[q] != item].sum()) for item in gallery]
        relevant = [label == of_query[q] for label in of_gallery]
        ranking = oracles.stable_ranking(distances, relevant)
        sums += (
            oracles.average_precision(ranking),
            oracles.precision_in_ball(distances, relevant, 2),
            oracles.recall_in_ball(distances, relevant, 2),
            oracles.precision_at(ranking, 50),
        )
    found = metrics_author(
        packed_from_bits(gallery), packed_from_bits(query), of_gallery, of_query, bits
    )
    assert list(found) == ["mAP", "P@r2", "R@r2", "P@50"]
    assert list(found.values()) == pytest.approx(sums / 3)
