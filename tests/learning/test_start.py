import sys

import pytest

from facehash.learning.backend import hidden
from tests.helpers.facehash_command import run_python

COMMAND = """
import sys
from facehash.command_line import make_app, run
from facehash.learning.backend import choose_backend, start_backend

app = make_app("Start Keras.")

@app.command()
def start() -> int:
    start_backend(choose_backend())
    optional = {"jax", "matplotlib", "sklearn", "IPython", "pandas"} - {choose_backend()}
    print(sorted(optional & set(sys.modules)))
    import jax, matplotlib.pyplot  # only Keras has not found them
    return 0

run(app, "start", [])
"""


def test_a_command_starts_keras_without_packages_that_only_others_need():
    assert run_python(COMMAND).stdout == "[]\n"


def test_packages_are_hidden_for_a_block_unless_they_are_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "tabnanny", raising=False)
    with hidden(["tabnanny", "json"]):
        import json  # noqa: F401 (loaded before)

        with pytest.raises(ImportError):
            import tabnanny
    import tabnanny

    assert sys.modules["tabnanny"] is tabnanny
    with pytest.raises(ZeroDivisionError), hidden(["wave"]):
        _ = 1 / 0
    assert "wave" not in sys.modules
