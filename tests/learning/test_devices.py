import logging

import keras
import pytest

from facehash.errors import InputError
from facehash.learning.devices import data_parallel, device_name


def test_one_device_needs_nothing_of_the_backend():
    with data_parallel("one", batch=7) as devices:
        assert devices == 1
        assert keras.distribution.distribution() is None


def test_all_devices_are_refused_where_keras_cannot_use_them_and_one_is_remarked(caplog):
    if keras.backend.backend() != "jax":
        with pytest.raises(InputError, match="'all' needs the backend 'jax', got"):
            data_parallel("all", batch=8).__enter__()
    elif len(keras.distribution.list_devices()) == 1:
        with caplog.at_level(logging.WARNING), data_parallel("all", batch=7) as devices:
            assert devices == 1
        assert "there is one device" in caplog.text


def test_the_device_has_a_name_on_every_backend():
    assert device_name().split(":")[0] in ("cpu", "gpu", "cuda", "mps")
    assert "," not in device_name()
