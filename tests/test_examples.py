"""The examples in docstrings run, and print what they show."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import data
import dcbh
import ddh
import facehash
from tests.conftest import ROOT

# These use a library of photos, which tests/library/query/test_library.py makes.
ELSEWHERE = ("facehash.library.query", "facehash.__main__")


def modules_with_examples():
    for package in (facehash, ddh, dcbh, data):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            source = Path(found.module_finder.path, f"{found.name.rpartition('.')[2]}")
            files = (source.with_suffix(".py"), source / "__init__.py")
            text = "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
            if ">>> " in text and not found.name.startswith(ELSEWHERE):
                yield found.name


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_the_examples_of_a_module_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np, "Path": Path})
    assert failed == 0
