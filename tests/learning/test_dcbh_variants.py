"""The networks that benchmarks/training_options.py times must be DCBH, or they are no rivals."""

import keras
import numpy as np
import pytest

from benchmarks.dcbh_variants import build
from benchmarks.random_faces import configure, make_faces

if keras.backend.backend() != "tensorflow":
    pytest.skip("the variants are TensorFlow's", allow_module_level=True)


@pytest.mark.parametrize("variant", ["channels_first", "fused_norm"])
def test_a_variant_from_the_same_weights_trains_as_dcbh_does(variant):
    faces, config = make_faces(16, 4), configure("dcbh", {})
    models = [build(config, faces.identities, name) for name in (None, variant)]
    models[1].set_weights(models[0].get_weights())
    losses = []
    for model in models:
        model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
        losses.append(model.train_on_batch(faces.images, faces.labels))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    relaxed = [model.predict_on_batch(faces.images)["relaxed"] for model in models]
    # One step's rounding already turns some features at zero on or off.
    np.testing.assert_allclose(relaxed[1], relaxed[0], atol=2e-3)
