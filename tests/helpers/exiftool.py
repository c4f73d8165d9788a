"""exiftool, which reads and writes XMP independently of this project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest


def exiftool(*words):
    """Run exiftool, or skip the test with a reason; return what it prints.

    Where FACEHASH_REQUIRE_EXIFTOOL is set, as in continuous integration, a missing exiftool fails
    instead.
    """
    program = shutil.which("exiftool")
    if program is None:
        reason = "exiftool is not installed (Debian: libimage-exiftool-perl)"
        if os.environ.get("FACEHASH_REQUIRE_EXIFTOOL"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_xmp(path):
    """Return the XMP of a file as exiftool understands it."""
    [found] = json.loads(exiftool("-struct", "-json", "-XMP:all", path))
    return found


def write_regions(path, size, *faces, source=None):
    """Let exiftool write MWG regions into a picture or a new sidecar.

    Each face is a name, the x and y of its middle, width and height, as shares of the size.
    """
    regions = ",".join(
        f"{{Area={{X={x},Y={y},W={w},H={h},Unit=normalized}},Name={name},Type=Face}}"
        for name, x, y, w, h in faces
    )
    applied = f"AppliedToDimensions={{W={size[0]},H={size[1]},Unit=pixel}}"
    info = f"-RegionInfo={{{applied},RegionList=[{regions}]}}"
    exiftool("-q", "-overwrite_original", info, path)
