"""The grid of a table, and every way in which its file can be wrong."""

from pathlib import Path

import pytest
import yaml

from experiments.table.config import GridError
from experiments.table.grid import TABLES, load_grid, read_table
from experiments.table.summary import read_reports
from facehash.errors import InputError
from tests.conftest import ROOT

NETWORK = {"method": "ddh", "dataset": {"name": "orl"}}
METHOD = {"id": "ddh", "label": "DDH", "config": "ddh.yaml"}
TABLE = {
    "title": "Faces",
    "note": "Few.",
    "bits": [12, 24],
    "seeds": [0, 1],
    "protocols": ["seen", "unseen"],
    "rows": [METHOD],
}


def baseline(kind, **more):
    return {"id": f"ddh_{kind}", "label": kind, "baseline": kind, "of": "ddh"} | more


@pytest.fixture
def write(tmp_path):
    """Write a table like `TABLE` with some keys changed, and the configurations that it names."""

    def write_table(text=None, rows=None, networks=None, **changes):
        for name, network in {"ddh.yaml": NETWORK, **(networks or {})}.items():
            (tmp_path / name).write_text(yaml.safe_dump(network))
        path = tmp_path / "faces.yaml"
        tree = TABLE | changes | ({"rows": rows} if rows is not None else {})
        path.write_text(text if text is not None else yaml.safe_dump(tree))
        return path

    return write_table


def names(grid):
    return [cell.name for cell in grid.cells]


def test_cells_are_every_seed_protocol_and_length_of_a_row_in_the_order_of_the_file(write):
    grid = load_grid(write())
    assert grid.name == "faces"
    assert names(grid) == [
        *("ddh-12-seen-s0", "ddh-24-seen-s0", "ddh-12-unseen-s0", "ddh-24-unseen-s0"),
        *("ddh-12-seen-s1", "ddh-24-seen-s1", "ddh-12-unseen-s1", "ddh-24-unseen-s1"),
    ]


def test_a_row_may_have_its_own_lengths_seeds_and_protocols_and_its_baselines_follow(write):
    row = METHOD | {"bits": [48], "seeds": [7], "protocols": ["unseen"]}
    rows = [baseline("lsh", bits=[12]), row]  # a baseline may stand before its network
    assert names(load_grid(write(rows=rows))) == ["ddh_lsh-12-unseen-s7", "ddh-48-unseen-s7"]


def test_features_come_from_the_network_with_the_longest_code_and_classes_from_the_equal(write):
    rows = [baseline("itq", bits=[8, 64]), baseline("classifier"), baseline("cosine")]
    grid = load_grid(write(rows=[METHOD, *rows], protocols=["seen"], seeds=[1]))
    assert {cell.name: cell.network.name for cell in grid.cells if cell.network} == {
        "ddh_itq-8-seen-s1": "ddh-24-seen-s1",
        "ddh_itq-64-seen-s1": "ddh-24-seen-s1",
        "ddh_classifier-12-seen-s1": "ddh-12-seen-s1",
        "ddh_classifier-24-seen-s1": "ddh-24-seen-s1",
        "ddh_cosine-float-seen-s1": "ddh-24-seen-s1",
    }


def test_a_cell_is_trained_with_its_own_length_seed_protocol_and_the_overrides_of_its_row(write):
    grid = load_grid(write(rows=[METHOD | {"set": ["model.hashing=dense", "training.batch=64"]}]))
    cell = next(cell for cell in grid.cells if cell.name == "ddh-24-unseen-s1")
    settings = grid.settings(cell)
    assert (settings.bits, settings.seed, settings.dataset.protocol) == (24, 1, "unseen")
    assert (settings.model.hashing, settings.training.batch) == ("dense", 64)
    cell = load_grid(write(rows=[METHOD, baseline("lsh", bits=[8])])).cells[-1]
    assert grid.settings(cell) == grid.settings(cell.network)  # a baseline uses its network's


SHIPPED = [path for path in sorted(TABLES.glob("*.yaml")) if "kind" not in read_table(path)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_table_loads_and_its_networks_are_configured(path):
    grid = load_grid(path)
    trained = {cell.name for cell in grid.cells if cell.network is None}
    for cell in grid.cells:
        assert (cell.network or cell).name in trained
        if cell.seed == 0 and cell.network is None:
            grid.settings(cell)
    # A committed report of another configuration would stop the table.
    reports = read_reports(grid, ROOT / "experiments" / "results" / "reports")
    names = [cell.report_name for cell in grid.cells]
    assert reports.keys() <= {cell.name for cell in grid.cells}
    assert len(set(names)) == len(names)


def rows(*rows):
    return {"rows": list(rows)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": ""}, "a table must be a mapping, got NoneType"),
        ({"text": "title: [1"}, "line 1: not valid YAML"),
        ({"text": "title: a\nnote: b"}, "missing key 'bits'; missing key 'seeds'"),
        ({"seed": [0]}, r"unknown key 'seed' \(did you mean 'seeds'\?\)"),
        ({"bits": [8, 8]}, r"bits: each may be given once, got \[8, 8\]"),
        ({"title": "a\nb"}, "title: must be one line of text"),
        (rows(METHOD | {"id": "a/b"}), "rows.0.id: .*got 'a/b'"),
        (rows({"id": "a", "label": "a"}), "rows.0: a row needs exactly one of config"),
        (rows(METHOD | {"of": "ddh"}), "baseline and of go together"),
        (rows(METHOD, baseline("lsh", seeds=[1])), "uses the seeds and settings of the row"),
        (rows(METHOD | {"set": ["seed=4"]}), "a row cannot set seed"),
        (rows(METHOD, METHOD | {"label": "b"}), "two rows have the id 'ddh'"),
        (rows(METHOD, METHOD | {"id": "b"}), "two rows have the label 'DDH'"),
        (rows(METHOD, baseline("lsh", of="dhd")), "of: no row 'dhd' .* .did you mean 'ddh'"),
        (
            rows(METHOD | {"protocols": ["seen"]}, baseline("lsh", protocols=["unseen"])),
            "row ddh_lsh: ddh is not trained with all of its protocols",
        ),
        (
            rows(METHOD, baseline("classifier", protocols=["seen"], bits=[48])),
            "row ddh_classifier: ddh is not trained at all of its code lengths",
        ),
        (
            rows(METHOD, baseline("classifier")),
            r"a classifier cannot name unseen identities; set protocols: \[seen\]",
        ),
        (
            rows(METHOD, METHOD | {"id": "b", "label": "b", "set": ["dataset.side=64"]}),
            "rows ddh and b read different data: dataset.side is 32 and 64",
        ),
        (rows(METHOD | {"config": "none.yaml"}), "row ddh: .*none.yaml: configuration cannot be"),
    ],
)
def test_a_table_that_cannot_be_used_says_in_one_line_what_is_wrong(changes, message, write):
    path = write(**changes)
    with pytest.raises(InputError, match=message) as caught:
        load_grid(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_missing_is_named():
    with pytest.raises(GridError, match=r"pubfig.yaml: no such table .did you mean 'pubfig83'"):
        load_grid(Path("pubfig.yaml"))
