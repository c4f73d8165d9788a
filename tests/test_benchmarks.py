"""What the benchmarks conclude from what they measured."""

import numpy as np
import pytest

from benchmarks import verification
from benchmarks.training import verdict
from benchmarks.training_options import add_share_of_best
from benchmarks.training_profile import REST, classify
from facehash.index.base import Space


@pytest.mark.parametrize(
    ("quartiles", "said"),
    [((0.95, 1.1), "met"), ((0.9, 1.1), "not resolved"), ((0.8, 0.949), "missed")],
)
def test_a_bar_is_met_only_when_the_lower_quartile_reaches_it(quartiles, said):
    assert verdict(*quartiles) == said


def test_all_options_are_related_to_the_fastest_product_in_true_float32():
    def row(gflops, peak, **environment):
        return {"gflops": gflops, "peak_gflops": {"float32": peak}, "environment": environment}

    rows = {
        "default": row(90, 100),
        "jax": row(30, 200),
        "half": row(180, 400, ONEDNN_DEFAULT_FPMATH_MODE="BF16"),
        "broken": {"not_measured": "why", "environment": {}},
    }
    assert add_share_of_best(rows) == 200
    shares = [rows[name]["share_of_best_float32_peak"] for name in ("default", "jax", "half")]
    assert shares == [0.45, 0.15, 0.9]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("dcbh_1/network_1/conv2d_2_1/convolution:_MklNativeConv2D", "convolution, forward"),
        (
            "gradient_tape/dcbh_1/network_1/conv2d_1_2/convolution/Conv2DBackpropFilter:"
            "_MklNativeConv2DBackpropFilter",
            "convolution, gradient by kernels",
        ),
        (
            "gradient_tape/dcbh_1/network_1/batch_normalization_1_2/moments/sub:Sub",
            "batch normalisation",
        ),
        ("adam/Square_24:Square", "optimizer"),
        ("gradient_tape/dcbh_1/network_1/re_lu_1_2/ReluGrad:ReluGrad", "ReLU"),
        ("SparseSoftmaxCrossEntropyWithLogits/LogicalOr:LogicalOr", REST),
    ],
)
def test_an_operation_is_counted_to_what_its_name_begins_with(operation, kind):
    assert classify(operation) == kind


def test_a_threshold_keeps_to_the_false_match_rate():
    impostor = np.array([0.1, 0.2, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    assert verification.threshold_at(impostor, 0.1) == pytest.approx(0.15)
    # Two pairs are equally far: both or none.
    assert verification.threshold_at(impostor, 0.2) == pytest.approx(0.15)
    assert verification.threshold_at(impostor, 0.3) == pytest.approx(0.35)
    assert verification.threshold_at(impostor, 0) == pytest.approx(0.05)


def test_every_pair_is_counted_once_as_of_one_person_or_two():
    rows = np.array([[0, 0], [3, 4], [0, 1], [0, 2]], np.float32)
    space = Space("euclidean", 2)
    found = verification.pairs(rows, np.array([0, 0, 1, 1]), space)
    assert found.genuine.tolist() == [1, 5]
    assert np.allclose(found.impostor, [1, 2, np.sqrt(13), np.sqrt(18)])
    assert verification.rates(found, 1.5) == {
        "false_match_rate": 0.25, "false_non_match_rate": 0.5,
    }  # fmt: skip


def test_a_threshold_is_tried_on_people_on_whom_it_was_not_chosen():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 4)
    rows = rng.normal(size=(20, 8))[labels] + 0.1 * rng.normal(size=(80, 8))
    result = verification.measure(rows.astype(np.float32), labels, Space("cosine", 8), 0.01)
    assert result["genuine_pairs"] == 20 * 6 and result["impostor_pairs"] == 80 * 79 // 2 - 120
    assert result["false_match_rate"] <= 0.01 and result["false_non_match_rate"] < 0.05
    assert len(result["chosen_on_one_half_tried_on_the_other"]) == 2
