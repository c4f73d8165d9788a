"""Files and folders of Python stay small enough to read: a limit is a reason to split by ideas."""

import subprocess
from collections import Counter
from pathlib import PurePosixPath

from tests.conftest import ROOT

MOST_LINES, MOST_FILES = 400, 16


def python_files():
    """Return the Python files of the project, relative to its root; ignored files do not count."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [name for name in filter(None, listed.split("\0")) if (ROOT / name).is_file()]


def test_no_python_file_has_more_than_400_lines():
    lines = {name: (ROOT / name).read_bytes().count(b"\n") for name in python_files()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_folder_has_more_than_16_python_files():
    files = Counter(str(PurePosixPath(name).parent) for name in python_files())
    assert {folder: count for folder, count in files.items() if count > MOST_FILES} == {}
