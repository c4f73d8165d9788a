"""The environment of a run: versions, backend, device, commit."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

_RECORDED_PACKAGES = ("facehash", "keras", "tensorflow", "jax", "torch", "numpy", "numba", "h5py")


def describe_environment(backend: str, device: str, seed: int) -> dict[str, Any]:
    """Describe the environment, so that others can judge or repeat a run.

    Args:
        backend: The Keras backend in use.
        device: Name of the device, such as ``"cpu:0"``.
        seed: The run's seed.

    Returns:
        A dict that JSON can hold, without paths or host names.
    """
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in _RECORDED_PACKAGES if (version := _version(name))},
        "backend": backend,
        "device": device,
        "seed": seed,
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """Return the commit of this checkout, with ``-dirty`` for local changes; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="]
    try:
        done = subprocess.run(  # noqa: S603 (fixed words)
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
