"""The loop that our training is compared with does the same training."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMPARE = """
from facehash.learning.backend import choose_backend, start_backend
start_backend(choose_backend())
import keras, numpy as np
from benchmarks.training.bare_loop import train_bare_loop
from benchmarks.training.random_faces import configure, make_faces
from facehash import methods

config, faces = configure("ddh", {}), make_faces(12, 3)
images, labels = np.asarray(faces.images), faces.labels.astype(np.int32)
losses = []
for bare in (True, False):
    keras.utils.set_random_seed(1)
    model = methods.build(config, faces.identities, 120.0, 60.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    model.optimizer.build(model.trainable_variables)
    if bare:
        found = train_bare_loop(model, images, labels, 12, 3, seed=0)
    else:  # one batch has every image, so the order does not matter
        found = model.fit(images, labels, batch_size=12, epochs=3, verbose=0).history["loss"]
    losses.append(found)
np.testing.assert_allclose(*losses, rtol=2e-3)
assert losses[0][2] < losses[0][0]
"""


@pytest.mark.full
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_bare_loop_has_the_losses_of_fit(backend):
    pytest.importorskip(backend)
    environment = os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
