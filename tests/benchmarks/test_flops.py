"""The multiply-adds of the benchmarks, compared with sums by hand."""

import pytest

from benchmarks.training.flops import multiply_adds, training_flops
from dcbh.model import DCBH
from ddh.model import DDH

PEOPLE = ["ann", "bob", "eve"]


def test_the_products_of_ddh_are_those_counted_by_hand():
    model = DDH(bits=12, identities=PEOPLE, pixel_mean=120.0, pixel_std=60.0)
    convolutions = (
        30 * 30 * (3 * 3 * 3) * 20 + 14 * 14 * (2 * 2 * 20) * 40 + 6 * 6 * (2 * 2 * 40) * 60
    )
    local = 2 * 2 * (2 * 2 * 60) * 80
    dense = 860 * (12 * 4) + 12 * 4 + 12 * 3  # features, divide-and-encode, classifier
    assert sum(multiply_adds(model).values()) == convolutions + local + dense


def test_the_products_of_dcbh_are_those_counted_by_hand():
    model = DCBH(bits=48, identities=PEOPLE, pixel_mean=120.0, pixel_std=60.0)
    # The same in each group: half the sides, twice the depth.
    a_convolution = 32 * 32 * (9 * 64) * 64
    first = 32 * 32 * (9 * 3) * 64
    convolutions = first + 6 * a_convolution + 3 * a_convolution // 2  # 3 double the depth
    dense = (256 + 512) * (48 * 6) + 48 * 3 + 48 * 6 * 3  # feature, and two classifiers
    assert sum(multiply_adds(model).values()) == convolutions + dense
    assert training_flops(model) == 2 * 3 * (convolutions + dense)
    assert training_flops(model) / 1e9 == pytest.approx(1.71, abs=0.005)
