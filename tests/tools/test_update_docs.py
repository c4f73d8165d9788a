"""The README tells the truth: its tables are those of committed files, its commands exist."""

import re

import pytest

from tests.conftest import ROOT
from tools.update_docs import TABLES, fill

DOCUMENTS = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md", "ddh/README.md",
    "dcbh/README.md", "docs/backends.md", "docs/engines.md", "docs/interoperability.md",
    "docs/naming.md",
    "docs/own_data.md", "docs/own_method.md", "docs/privacy.md", "docs/reading_the_metrics.md",
    "docs/scaling.md", "docs/search.md", "experiments/README.md", "examples/README.md",
    "facehash/hashing/heads/README.md",
]  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_those_that_the_committed_results_give(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert fill(name, text) == text, "run: python -m tools.update_docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_linked_file_and_heading_exists(name):
    path = ROOT / name
    links = re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)", path.read_text(encoding="utf-8"))
    for link in map("".join, links):
        if "://" not in link:
            file, _, heading = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), link
            assert not heading or heading in anchors(target), link


def anchors(document):
    """Return the names by which a document's headings can be linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_named_script_configuration_and_target_exists_and_no_absolute_path(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"configs/[\w/]+\.yaml", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m ((?:data|experiments|benchmarks|tools)(?:\.\w+)+)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"`make (?:PYTHON=\S+ )?([\w-]+)", text):
        assert target in targets, target
    assert not re.search(r"(?<![\w.])/(home|Users|root|mnt|tmp)/", text)
