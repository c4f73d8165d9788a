"""Texts use the common English words: phrases of an earlier style do not come back."""

import json
import re
import subprocess

from tests.conftest import ROOT

PLACES = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "facehash", "ddh", "dcbh", "data",
    "experiments", "benchmarks", "configs", "notebooks", "tools", "train.py", "evaluate.py",
)  # fmt: skip
DIALECT = re.compile(
    r"one an? (photo|face|person)|bytes a face|(images|photos|queries) a (second|person)|"
    r"is told|are told|is had|left out|strangers",
    re.IGNORECASE,
)
LITERAL = {"benchmarks/search/lfw.py": '"strangers"'}  # a key of the committed result
"""File -> text around which a phrase means what it says."""


def test_texts_use_plain_words():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PLACES],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in (".png", ".svg", ".json", ".npz") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        for number, line in enumerate(text.splitlines(), start=1):
            if DIALECT.search(line) and LITERAL.get(name, line + "\n") not in line:
                found.append(f"{name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
