"""What `pip install` puts on a machine, and what an import costs there."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

import facehash
from tests.conftest import ROOT

HEAVY = ("keras", "tensorflow", "jax", "torch", "numba", "matplotlib", "h5py", "scipy", "PIL")


# What the extras engines and web-test bring, which make test does not install.
NOT_FOR_TEST = ("redis", "psycopg", "elasticsearch", "distributed", "playwright", "locust")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of what git tracks, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", source / "dist", source], check=True)
    [path] = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_installed_side_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"facehash", "ddh", "dcbh"}
    names = set(wheel.namelist())
    assert {"facehash/py.typed", "ddh/README.md", "ddh/model.py", "dcbh/model.py"} <= names
    assert "facehash/hamming/kernels_numba.py" in names
    assert {"facehash/hashing/heads/sface.npz", "facehash/hashing/heads/README.md"} <= names
    # The page asks no other host for anything.
    web = [name for name in names if name.startswith("facehash/web/")]
    for name in ("templates/base.html", "static/page.css", "static/page.js", "vendor/htmx.min.js"):
        assert f"facehash/web/{name}" in web
    vendor = ROOT / "facehash" / "web" / "vendor"
    digest = hashlib.sha256((vendor / "htmx.min.js").read_bytes()).hexdigest()
    assert digest in (vendor / "README.md").read_text()
    [scripts] = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    assert "facehash = facehash.cli:main" in wheel.read(scripts).decode()


def test_every_file_that_names_the_version_names_the_same(wheel):
    [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    text = wheel.read(metadata).decode()
    assert f"\nVersion: {facehash.__version__}\n" in text
    assert "Requires-Python: <3.14,>=3.11" in text and "License-File: LICENSE" in text
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == facehash.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == facehash.__version__


@pytest.mark.parametrize(
    ("statement", "unneeded"),
    [
        ("import facehash", {*HEAVY, "numpy", "pydantic", "yaml", "typer"}),
        ("from facehash import methods; methods.options_class('ddh')", set(HEAVY[:5])),
        ("import facehash.retrieval.metrics", {"keras", "numba", "matplotlib"}),
        ("import facehash.runs.directory", {"keras", "numba", "matplotlib", "h5py"}),
        ("import facehash.cli", {*HEAVY, "numpy", "cv2", "pydantic", "tqdm"}),
        ("import facehash.library.storage.store", {*HEAVY, "cv2", "faiss", "tqdm"} - {"scipy"}),
        ("import facehash.library.query.library", {*HEAVY, "cv2", "faiss"} - {"scipy", "PIL"}),
    ],
)
def test_an_import_loads_only_what_it_needs(statement, unneeded):
    script = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {name.split(".")[0] for name in json.loads(done.stdout)} & unneeded


@pytest.mark.full
def test_the_tests_need_only_what_make_test_installs(tmp_path):
    (tmp_path / "lacking.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({NOT_FOR_TEST}))\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "lacking", "--collect-only", "-q"]
    done = subprocess.run(
        [*command, "-m", "not engines and not web"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
