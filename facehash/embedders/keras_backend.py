"""Starting Keras for encoding, where any backend serves."""

from __future__ import annotations

import importlib.util
import os
import sys

from facehash.learning.backend import choose_backend, start_backend


def start_keras(preferred: str | None = None) -> None:
    """Import Keras; a model embeds alike on every backend, so the one at hand is taken.

    Args:
        preferred: The backend that a model was trained on. What already runs in this process wins
            over KERAS_BACKEND, which wins over it; where it is not installed, it is passed over.

    Raises:
        InputError: KERAS_BACKEND names a backend that is unknown or not installed.
    """
    if "keras" in sys.modules:
        import keras

        start_backend(keras.backend.backend())
        return
    installed = preferred is not None and importlib.util.find_spec(preferred) is not None
    named = os.environ.get("KERAS_BACKEND") or (preferred if installed else None)
    start_backend(choose_backend(named))
