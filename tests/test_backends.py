"""The learning tests once more on a second backend, in a process of its own."""

import os
import subprocess
import sys

import pytest

OTHER_BACKENDS = ["jax"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_the_learning_tests_pass_on_another_backend(backend, request):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/learning"],
        cwd=request.config.rootpath,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
