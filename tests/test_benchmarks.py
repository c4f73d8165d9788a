"""What the benchmarks conclude from what they measured."""

import pytest

from benchmarks.training import verdict
from benchmarks.training_options import add_share_of_best
from benchmarks.training_profile import REST, classify


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
