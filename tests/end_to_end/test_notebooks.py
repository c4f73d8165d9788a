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


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return a function that executes a notebook; the notebooks share one folder of runs.

    It returns the ids of the cells that show a figure, and what each cell printed.
    """
    runs = tmp_path_factory.mktemp("runs")

    def run(name):
        (path,) = (path for path in NOTEBOOKS if path.stem.startswith(name))
        notebook = read(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FACEHASH_RUNS", str(runs))
            patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
            where = {"metadata": {"path": str(path.parent)}}
            NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        figures, printed = set(), {}
        for cell in code_cells(notebook):
            if any("image/png" in output.get("data", {}) for output in cell.outputs):
                figures.add(cell.id)
            printed[cell.id] = "".join(output.get("text", "") for output in cell.outputs)
        return figures, printed

    return run


def numbers(text):
    return [float(one) for one in re.findall(r"\d+\.?\d*", text)]


@pytest.mark.full
def test_the_quickstart_trains_scores_and_shows_neighbours(executed):
    figures, printed = executed("01")
    assert {"faces-figure", "codes-figure", "distances", "neighbours"} <= figures
    assert 0.9 < float(re.search(r"mAP +(\d\.\d+) ", printed["score"])[1]) <= 1
    same, different = numbers(printed["distances"])
    assert same < 8 < 16 < different


@pytest.mark.full
def test_the_metrics_are_shown_on_the_codes_of_that_run(executed):
    figures, printed = executed("02")
    assert len(figures) == 6
    lowest, highest, mean, expected, lower, upper = numbers(printed["usual"])[1:7]
    assert lower < lowest < expected < highest < upper
    assert mean == pytest.approx(expected, abs=0.003)


@pytest.mark.full
def test_the_failures_are_found_explained_and_repaired(executed):
    figures, printed = executed("03")
    assert {"map-figure", "look", "reasons-figure", "change-figure"} <= figures
    darkest_before, darkest_after = numbers(printed["fix-figure"])[-2:]
    assert darkest_after > darkest_before + 0.3
