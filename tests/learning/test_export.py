"""`HashModel.export` on the backend of these tests."""

import keras
import numpy as np
import pytest
from keras import ops

from facehash.errors import InputError
from facehash.learning.hash_model import EXPORT_BACKENDS

BACKEND = keras.backend.backend()


def exported_outputs(path, format, images):
    """Run an exported file without Keras; return its outputs, smallest width first."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        outputs = session.run(None, {session.get_inputs()[0].name: images})
    else:
        import tensorflow

        loaded = tensorflow.saved_model.load(path)
        outputs = [tensor.numpy() for tensor in loaded.serve(images).values()]
    return sorted(outputs, key=lambda array: array.shape[1])


def check_export(model, images, path, format):
    model.export(path, format=format, verbose=False)
    expected = [ops.convert_to_numpy(model(images)[name]) for name in ("logits", "relaxed")]
    outputs = exported_outputs(path, format, images.astype("float32"))
    for array, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(array, other, atol=1e-4)


def test_a_model_exports_without_a_signature(make_model, images, tmp_path):
    format = "onnx" if BACKEND == "torch" else "tf_saved_model"
    make_model().save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    check_export(model, images, str(tmp_path / "loaded"), format)
    model.predict(images[:1], verbose=0)
    check_export(model, images, str(tmp_path / "predicted"), format)


def test_a_format_that_keras_cannot_write_here_is_refused(make_model, tmp_path):
    format = next(name for name, backends in EXPORT_BACKENDS.items() if BACKEND not in backends)
    other = EXPORT_BACKENDS[format][0]
    message = f"not on {BACKEND}; start Python with KERAS_BACKEND={other}"
    with pytest.raises(InputError, match=message):
        make_model().export(tmp_path / "model", format=format)
    with pytest.raises(InputError, match="did you mean 'onnx'"):
        make_model().export(tmp_path / "model", format="onx")
    assert not list(tmp_path.iterdir())
