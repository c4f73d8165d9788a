"""The notebooks run from top to bottom, and are stored without outputs."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook, cell_id):
    """Return what a cell of an executed notebook printed."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


def lines(notebook, cell_id):
    return printed(notebook, cell_id).splitlines()


def numbers(text):
    return [float(one) for one in re.findall(r"\d+\.?\d*", text)]


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """Return a function that executes a notebook; the notebooks share one folder of runs."""
    runs = tmp_path_factory.mktemp("runs")

    def run(name):
        (path,) = (path for path in NOTEBOOKS if path.stem.startswith(name))
        notebook = read(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FACEHASH_RUNS", str(runs))
            patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
            where = {"metadata": {"path": str(path.parent)}}
            NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        return notebook

    return run


def figures(notebook):
    """Return the ids of the cells of an executed notebook that show a figure."""
    return {
        cell.id
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs_with_named_cells_and_links_to_existing_files(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code_cells(notebook):
        assert (cell.outputs, cell.execution_count, cell.metadata) == ([], None, {})
    names = [cell.id for cell in notebook.cells]
    assert len(set(names)) == len(names)
    # Jupyter names a cell with eight hexadecimal digits, which say nothing in a diff.
    assert all(re.fullmatch(r"(?![0-9a-f]{8}$)[a-z0-9-]+", name) for name in names)
    for cell in notebook.cells:
        for link in re.findall(r"\]\(([^)#]+)\)", cell.source):
            assert "://" in link or (path.parent / link).exists(), link


@pytest.mark.full
def test_the_quickstart_trains_scores_and_shows_neighbours(execute):
    notebook = execute("01")
    assert {"faces-figure", "codes-figure", "distances", "neighbours"} <= figures(notebook)
    assert "trained 200 epochs" in printed(notebook, "train")
    score = re.search(r"mAP +(\d\.\d+) ", printed(notebook, "score"))
    assert 0.9 < float(score[1]) <= 1
    same, different = numbers(printed(notebook, "distances"))
    assert same < 8 < 16 < different
    turned = numbers(printed(notebook, "changes"))
    assert turned[0] == 0 and max(turned) > 0


@pytest.mark.full
def test_the_metrics_are_shown_on_the_codes_of_that_run(execute):
    notebook = execute("02")
    assert "already trained" in printed(notebook, "run") or "trained 200" in printed(
        notebook, "run"
    )
    assert len(figures(notebook)) == 6
    lowest, highest, mean, expected, lower, upper = numbers(printed(notebook, "usual"))[1:7]
    assert lower < lowest < expected < highest < upper
    assert mean == pytest.approx(expected, abs=0.003)
    empty, counted, excluded = (numbers(line)[-1] for line in lines(notebook, "radius"))
    assert excluded == pytest.approx(counted / (1 - empty), abs=0.005)
    for line in lines(notebook, "cap"):
        assert numbers(line)[2] <= 0.14 == numbers(line)[3]
    whole, part = (re.search(r"\[.*\]", line)[0] for line in lines(notebook, "packing"))
    assert (whole, part) == ("[1, 1, 1, 1, 1, 1, 1, 0]", "[1, 1, 1, 4]")


@pytest.mark.full
def test_the_failures_are_found_explained_and_repaired(execute):
    notebook = execute("03")
    assert {"map-figure", "look", "reasons-figure", "change-figure"} <= figures(notebook)
    assert len(lines(notebook, "worst")) == 7
    before, after = (numbers(line) for line in lines(notebook, "price")[1:])
    assert min(before[0], after[0]) > 0.9
    darkest_before, darkest_after = numbers(printed(notebook, "fix-figure"))[-2:]
    assert darkest_after > darkest_before + 0.3
