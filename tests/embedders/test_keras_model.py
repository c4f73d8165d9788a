import dataclasses
import hashlib

import keras
import numpy as np
import pytest

from facehash.embedders import keras_model
from facehash.embedders.keras_model import NORMALIZATIONS, KerasModel
from facehash.embedders.registry import make_embedder
from facehash.errors import InputError
from facehash.weights.table import WEIGHTS
from tests.conftest import shared_path
from tests.embedders.test_sface import pairs
from tests.helpers.face_data import central_crop


def tiny_model(side=16, outputs=5):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(4, 3, strides=2), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((side, side, 3)), *layers, keras.layers.Dense(outputs)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.keras"
    tiny_model().save(path)
    return path


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (40, 16, 16, 3), np.uint8)


def test_a_file_embeds_like_the_saved_model(file, faces):
    embedder = make_embedder(f"keras:{file},metric=euclidean")
    expected = tiny_model().predict(faces.astype(np.float32), verbose=0)
    rows = embedder.embed(faces)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    assert rows.dtype == np.float32 and embedder.dimension == 5 and embedder.side == 16
    assert embedder.metric == "euclidean" and embedder.crop == "box"


def test_a_face_gets_the_same_row_alone_and_among_others(file, faces):
    embedder = make_embedder(f"keras:{file},normalization=per_image")
    np.testing.assert_allclose(
        embedder.embed(faces)[33], embedder.embed(faces[33:34])[0], atol=1e-5
    )
    assert embedder.embed(faces[:0]).shape == (0, 5)
    # The metric is cosine.
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(faces), axis=1), 1, rtol=1e-5)


def test_the_identity_contains_every_setting_that_changes_the_rows(file):
    identities = {
        make_embedder(f"keras:{file}{options}").identity
        for options in ("", ",normalization=unit", ",metric=euclidean", ",crop=arcface112")
    }
    assert len(identities) == 4
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert all(identity.endswith(f"sha256={digest}") for identity in identities)
    assert not any(str(file.parent) in identity for identity in identities)


def test_each_normalization_equals_its_definition():
    pixels = np.zeros((1, 1, 2, 3), np.float32)
    pixels[0, 0, 1] = [255, 102, 51]
    results = {name: normalize(pixels) for name, normalize in NORMALIZATIONS.items()}
    assert {result.dtype for result in results.values()} == {np.dtype(np.float32)}
    second = {name: result[0, 0, 1].tolist() for name, result in results.items()}
    assert second["none"] == [255, 102, 51]
    assert second["unit"] == pytest.approx([1, 0.4, 0.2])
    assert second["symmetric"] == pytest.approx([1, -0.2, -0.6])
    # Mean 68 and mean square 13005 - 68^2 = 8381 over the six values.
    assert second["per_image"] == pytest.approx((np.array([255, 102, 51]) - 68) / 8381**0.5)
    assert second["caffe"] == pytest.approx([51 - 103.939, 102 - 116.779, 255 - 123.68])
    assert second["torch"] == pytest.approx([0.515 / 0.229, -0.056 / 0.224, -0.206 / 0.225])
    # A uniform picture is not divided by 0.
    assert (NORMALIZATIONS["per_image"](np.full((1, 4, 4, 3), 9, np.float32)) == 0).all()


def refusal(specification, **options):
    with pytest.raises(InputError) as caught:
        make_embedder(specification, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(path, *layers, shape=(16, 16, 3)):
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    return f"keras:{path}"


def test_models_that_are_no_embedders_are_refused(tmp_path, file, make_model):
    path = tmp_path / "model.keras"
    pool = keras.layers.GlobalAveragePooling2D()
    assert "takes pictures of 16 x 16 pixels, not size=20" in refusal(f"keras:{file},size=20")
    assert "add one, for example size=160" in refusal(saved(path, pool, shape=(None, None, 3)))
    assert "an embedder takes square RGB" in refusal(saved(path, pool, shape=(16, 16, 1)))
    flat = keras.layers.Flatten()
    assert "an embedder takes square RGB" in refusal(saved(path, flat, shape=(16, 20, 3)))
    conv = keras.layers.Conv2D(4, 3)
    assert "returns (1, 14, 14, 4), an embedder returns one vector" in refusal(saved(path, conv))
    two = [keras.Input((16, 16, 3)), keras.Input((16, 16, 3))]
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(two))
    keras.Model(two, pooled).save(path)
    assert "an embedder takes square RGB" in refusal(f"keras:{path}")
    assert "no such model file" in refusal(f"keras:{tmp_path / 'gone.keras'}")
    file.with_suffix(".h5").write_bytes(file.read_bytes())
    assert "not a complete .keras file" in refusal(f"keras:{file.with_suffix('.h5')}")
    make_model().save(path)
    assert f"use run:{path}" in refusal(f"keras:{path}")


def test_code_in_a_model_file_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    layer = keras.layers.Lambda(lambda x, place=str(ran): open(place, "w").close() or x)
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, keras.layers.Flatten()])
    model.save(tmp_path / "model.keras")
    ran.unlink(missing_ok=True)
    assert "cannot be loaded as a Keras model" in refusal(f"keras:{tmp_path / 'model.keras'}")
    assert not ran.exists()


@pytest.mark.full
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX compiles it for half a minute")
def test_facenet_separates_people_of_lfw():
    file = shared_path("weights", "facenet_128.keras")
    facenet = make_embedder(f"keras:{file},size=160,normalization=per_image")
    assert (facenet.dimension, facenet.side, facenet.metric) == (128, 160, "cosine")
    crops = [central_crop(path, facenet.crop, 160) for pair in pairs(8) for path in pair]
    vectors = facenet.embed(np.stack(crops))
    cosines = vectors[0::2] @ vectors[1::2].T
    assert (cosines.argmax(axis=1) == np.arange(8)).all()
    assert np.diag(cosines).mean() > 0.6
    assert np.abs(cosines[~np.eye(8, dtype=bool)]).mean() < 0.3


@pytest.mark.full
def test_vgg16_uses_the_weights_of_the_file(tmp_path, monkeypatch, rng):
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    # Random weights in a file with the format and name of the published weights.
    model = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(224, 224, 3), pooling="max"
    )
    path = tmp_path / WEIGHTS["vgg16"].file
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    content = path.read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    changes = {"size": len(content), "sha256": None, "md5": md5}
    monkeypatch.setitem(WEIGHTS, "vgg16", dataclasses.replace(WEIGHTS["vgg16"], **changes))
    vgg16 = make_embedder("vgg16,metric=euclidean", tmp_path)
    assert (vgg16.dimension, vgg16.side, vgg16.crop) == (512, 224, "box")
    assert vgg16.identity.startswith("vgg16-max:size=224,normalization=caffe,metric=euclidean")
    assert vgg16.identity.endswith(f"sha256={hashlib.sha256(content).hexdigest()}")
    face = rng.integers(0, 256, (1, 224, 224, 3), np.uint8)
    pixels = keras.applications.vgg16.preprocess_input(face.astype(np.float32))
    expected = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(vgg16.embed(face), expected, rtol=1e-3, atol=1e-3)


def test_missing_or_other_weights_are_never_replaced_by_random_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path)
    monkeypatch.delenv("FACEHASH_WEIGHTS", raising=False)
    for name in ("resnet50", "vgg16"):
        assert f"get them with: facehash weights fetch {name}" in refusal(name)
    path = tmp_path / WEIGHTS["vgg16"].file
    path.write_bytes(b"no HDF5")
    verified = type("Verified", (), {"path": path, "sha256": "0" * 64})
    monkeypatch.setattr(keras_model, "find_weights", lambda *_: verified)
    assert "cannot be loaded into vgg16" in refusal("vgg16")


def test_a_network_that_returns_nan_is_refused(faces):
    model = tiny_model()
    model.layers[-1].bias.assign(np.full(5, np.nan))
    with pytest.raises(InputError, match="values that are not finite"):
        KerasModel(model, "tiny", "0" * 64).embed(faces)
