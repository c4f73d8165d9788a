import zipfile

import keras
import numpy as np
import pytest
from keras import ops

from ddh.model import DDH
from facehash import methods
from facehash.errors import InputError
from facehash.learning.encoding import encode


def outputs_of(model, images, training=False):
    return {name: ops.convert_to_numpy(t) for name, t in model(images, training=training).items()}


def trainable_parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_the_parameter_count_is_that_of_the_released_network(make_model):
    model = make_model(bits=48, identities=[str(i) for i in range(1595)])
    # Convolutions with batch normalisation 600 + 3,320 + 9,780; locally connected 76,800 weights,
    # 320 biases, 160; dense 860 -> 192 with 384; 48 blocks of 4 + 1; 96; softmax 49 x 1,595.
    parts = 600 + 3320 + 9780 + 76800 + 320 + 160 + 861 * 192 + 384 + 48 * 5 + 96 + 49 * 1595
    assert trainable_parameters(model) == parts == 335_167


def test_code_batch_norm_is_a_switch(make_model):
    with_it = trainable_parameters(make_model(code_batch_norm=True))
    without = trainable_parameters(make_model(code_batch_norm=False))
    assert with_it - without == 2 * 12


def test_a_dense_hash_layer_lets_every_bit_see_every_feature(make_model):
    divided = trainable_parameters(make_model())
    dense = make_model(hashing="dense")
    assert trainable_parameters(dense) - divided == 12 * 48 - 48  # 48 features, once a bit
    assert DDH.from_config(dense.get_config()).hashing == "dense"


@pytest.mark.parametrize("bits", [12, 24, 36, 48, 64, 128])
@pytest.mark.parametrize("people", [2, 7])
def test_any_code_length_and_number_of_people(make_model, rng, bits, people):
    model = make_model(bits=bits, identities=[str(i) for i in range(people)])
    outputs = outputs_of(model, rng.integers(0, 256, (3, 32, 32, 3)).astype("uint8"))
    assert outputs["relaxed"].shape == (3, bits)
    assert outputs["logits"].shape == (3, people)
    assert np.abs(outputs["relaxed"]).max() <= 1


def test_one_photo_is_encoded_like_the_same_row_of_a_batch(make_model, rng):
    model = make_model(bits=48)
    images = rng.integers(0, 256, (9, 32, 32, 3)).astype("uint8")
    batch = outputs_of(model, images)["relaxed"]
    for row in range(9):
        single = outputs_of(model, images[row : row + 1])["relaxed"]
        np.testing.assert_allclose(single[0], batch[row], atol=1e-5)


def test_pixels_may_be_integers_or_floats(make_model, rng):
    model = make_model()
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    as_float = outputs_of(model, images.astype("float32"))["relaxed"]
    np.testing.assert_allclose(outputs_of(model, images)["relaxed"], as_float, atol=1e-6)


def test_the_gradient_reaches_every_weight(make_model, rng):
    model = make_model(weight_decay=0.0)  # else the decay alone would reach every kernel
    images = rng.integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    model.train_on_batch(images, np.arange(12) % 3)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        change = np.abs(ops.convert_to_numpy(variable) - old)
        assert np.isfinite(change).all(), variable.path
        # A bias before batch normalisation has no effect, so its gradient is rounding only.
        assert change.max() > 0, variable.path


def test_the_loss_is_the_sum_of_its_terms_written_from_the_equation(make_model, rng):
    model = make_model(quantization_weight=0.3, weight_decay=1e-3)
    images = rng.integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    labels = rng.integers(0, 3, 8)
    outputs = outputs_of(model, images)
    logits = outputs["logits"].astype(np.float64)
    chosen = logits[np.arange(8), labels] - np.log(np.exp(logits).sum(axis=1))
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    expected = {
        "cross_entropy": -chosen.mean(),
        "quantization": 0.3 * np.abs(np.abs(outputs["relaxed"]) - 1).mean(),
        "weight_decay": 1e-3 * sum(np.square(ops.convert_to_numpy(k)).sum() for k in kernels),
    }
    assert len(kernels) == 7
    model.compile()
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name
    assert logs["loss"] == pytest.approx(sum(expected.values()), rel=1e-4)
    assert logs["accuracy"] == np.mean(logits.argmax(axis=1) == labels)


def test_a_saved_model_gives_the_same_codes_in_a_fresh_process(
    make_model, rng, encode_in_a_fresh_process
):
    model = make_model(bits=20, augmentation={"flip": True, "shift": 2}, crop="arcface112")
    images = rng.integers(0, 256, (16, 32, 32, 3)).astype("uint8")
    # Moving statistics away from their initial values, as training would leave them.
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    codes, printed = encode_in_a_fresh_process(model, images)
    assert printed == ["ddh", "ann", "bob", "eve", "arcface112"]
    np.testing.assert_array_equal(codes, encode(model, images))


def test_images_too_small_for_the_network_are_refused_with_the_size_that_fits(make_model):
    with pytest.raises(InputError, match="at least 24 x 24 pixels, got side 16"):
        make_model(side=16)
    assert make_model(side=24).side == 24


def test_other_sizes_than_32_work(make_model, rng):
    model = make_model(side=48)
    images = rng.integers(0, 256, (2, 48, 48, 3)).astype("uint8")
    assert outputs_of(model, images)["relaxed"].shape == (2, 12)


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(InputError, match="no such model file"):
        methods.load(path)
    path.write_text("not a zip")
    with pytest.raises(InputError, match="not a whole .keras file"):
        methods.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(InputError, match="cannot be loaded as a Keras model"):
        methods.load(path)
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    dense.save(path)
    with pytest.raises(InputError, match="holds a Sequential, not a model of this project"):
        methods.load(path)


def test_mixed_precision_still_returns_float32(rng):
    settings = {"bits": 12, "identities": ["a", "b"], "pixel_mean": 120, "pixel_std": 60}
    model = DDH(**settings, dtype="mixed_bfloat16")
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    outputs = model(images)
    as_float = model(images.astype("float32"))["relaxed"]
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(relaxed) for relaxed in (outputs["relaxed"], as_float))
    )
    assert {keras.backend.standardize_dtype(t.dtype) for t in outputs.values()} == {"float32"}
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.weights} == {"float32"}


def test_a_model_file_that_carries_code_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    layer = keras.layers.Lambda(lambda x, place=str(ran): open(place, "w").close() or x)
    model = keras.Sequential([keras.Input((2,)), layer])
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    ran.unlink(missing_ok=True)
    with pytest.raises(InputError, match="cannot be loaded as a Keras model"):
        methods.load(tmp_path / "model.keras")
    with pytest.raises(InputError, match="not a whole .keras file"):
        methods.load(tmp_path / "model.h5")
    assert not ran.exists()
