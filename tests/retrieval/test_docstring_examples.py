import doctest
import importlib

import pytest

ROOMS = {
    "facehash": ["codes"],
    "facehash.hamming": ["search"],
    "facehash.hashing": ["itq"],
    "facehash.retrieval": ["curves", "evaluation", "metrics", "truncated", "vectors"],
}


@pytest.mark.parametrize("module", [f"{room}.{m}" for room, files in ROOMS.items() for m in files])
def test_the_examples_of_docstrings_print_what_they_show(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0 and results.failed == 0
