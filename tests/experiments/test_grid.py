"""The grid of a table, and every way in which its file can be wrong."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from experiments.table.config import GridError
from experiments.table.grid import TABLES, load_grid
from experiments.table.summary import read_reports
from facehash.config import ConfigError
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
        "ddh-12-seen-s0",
        "ddh-24-seen-s0",
        "ddh-12-unseen-s0",
        "ddh-24-unseen-s0",
        "ddh-12-seen-s1",
        "ddh-24-seen-s1",
        "ddh-12-unseen-s1",
        "ddh-24-unseen-s1",
    ]


def test_a_row_may_have_lengths_seeds_and_protocols_of_its_own(write):
    row = METHOD | {"bits": [48], "seeds": [7], "protocols": ["unseen"]}
    assert names(load_grid(write(rows=[row]))) == ["ddh-48-unseen-s7"]


def test_hashed_features_come_from_the_network_with_the_longest_code(write):
    grid = load_grid(write(rows=[METHOD, baseline("itq", bits=[8, 64], protocols=["seen"])]))
    assert [(cell.name, cell.network.name) for cell in grid.cells if cell.network] == [
        ("ddh_itq-8-seen-s0", "ddh-24-seen-s0"),
        ("ddh_itq-64-seen-s0", "ddh-24-seen-s0"),
        ("ddh_itq-8-seen-s1", "ddh-24-seen-s1"),
        ("ddh_itq-64-seen-s1", "ddh-24-seen-s1"),
    ]


def test_the_classifier_code_of_a_length_comes_from_the_network_of_that_length(write):
    grid = load_grid(write(rows=[METHOD, baseline("classifier", protocols=["seen"])], seeds=[0]))
    assert {cell.name: cell.network.name for cell in grid.cells if cell.network} == {
        "ddh_classifier-12-seen-s0": "ddh-12-seen-s0",
        "ddh_classifier-24-seen-s0": "ddh-24-seen-s0",
    }


def test_float_vectors_have_one_cell_whatever_the_lengths(write):
    grid = load_grid(write(rows=[METHOD, baseline("cosine", bits=[12, 24])], seeds=[0]))
    assert names(grid)[4:] == ["ddh_cosine-float-seen-s0", "ddh_cosine-float-unseen-s0"]
    assert {cell.bits for cell in grid.cells[4:]} == {None}


def test_a_baseline_may_stand_before_its_network(write):
    grid = load_grid(write(rows=[baseline("lsh", bits=[12], protocols=["seen"]), METHOD]))
    assert names(grid)[:2] == ["ddh_lsh-12-seen-s0", "ddh_lsh-12-seen-s1"]


def test_a_baseline_runs_where_its_network_was_trained(write):
    rows = [METHOD | {"seeds": [5], "protocols": ["seen"]}, baseline("lsh", bits=[12])]
    assert names(load_grid(write(rows=rows)))[2:] == ["ddh_lsh-12-seen-s5"]


def test_a_cell_is_trained_with_its_own_length_seed_protocol_and_the_overrides_of_its_row(write):
    grid = load_grid(write(rows=[METHOD | {"set": ["model.hashing=dense", "training.batch=64"]}]))
    cell = next(cell for cell in grid.cells if cell.name == "ddh-24-unseen-s1")
    settings = grid.settings(cell)
    assert (settings.bits, settings.seed, settings.dataset.protocol) == (24, 1, "unseen")
    assert (settings.model.hashing, settings.training.batch) == ("dense", 64)


def test_a_baseline_has_the_settings_of_its_network(write):
    grid = load_grid(write(rows=[METHOD, baseline("lsh", bits=[8])]))
    cell = grid.cells[-1]
    assert grid.settings(cell) == grid.settings(cell.network)
    assert grid.settings(cell).bits == 24


def test_names_of_reports_are_unique_over_all_shipped_tables():
    reports = [cell.report_name for path in TABLES.glob("*.yaml") for cell in load_grid(path).cells]
    assert max(Counter(reports).values()) == 1


def test_a_fresh_checkout_can_begin_or_go_on_with_every_shipped_table():
    # A report that is no cell's, but lies under the name of one, would stop the table.
    for path in TABLES.glob("*.yaml"):
        grid = load_grid(path)
        reports = read_reports(grid, ROOT / "experiments" / "results" / "reports")
        assert reports.keys() <= {cell.name for cell in grid.cells}


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_table_loads_and_every_network_of_it_is_configured(path):
    grid = load_grid(path)
    trained = {cell.name for cell in grid.cells if cell.network is None}
    for cell in grid.cells:
        assert (cell.network or cell).name in trained
    for name in {cell.name for cell in grid.cells if cell.seed == 0} & trained:
        grid.settings(next(cell for cell in grid.cells if cell.name == name))


WRONG = {
    "empty": ({"text": ""}, "a table is a mapping of keys, got NoneType"),
    "a list": ({"text": "- 1"}, "a table is a mapping of keys, got list"),
    "no yaml": ({"text": "title: [1"}, "line 1: not valid YAML"),
    "a key twice": ({"text": "title: a\ntitle: b"}, "line 2: .*'title' is given twice"),
    "unknown key": ({"seed": [0]}, r"unknown key 'seed' \(did you mean 'seeds'\?\)"),
    "missing key": ({"text": "title: a\nnote: b"}, "missing key 'bits'; missing key 'seeds'"),
    "no rows": ({"rows": []}, "rows: .*at least 1 item"),
    "a row that is a word": ({"rows": ["ddh"]}, "rows.0: .*dictionary, got 'ddh'"),
    "unknown key of a row": (
        {"rows": [METHOD | {"bit": [1]}]},
        r"unknown key 'rows.0.bit' \(did you mean 'bits'\?\)",
    ),
    "unknown key of papers": (
        {"papers": {"gallery": 1, "query": 1, "querys": 2}},
        r"unknown key 'papers.querys' \(did you mean 'query'\?\)",
    ),
    "papers without images": ({"papers": {"gallery": 0, "query": 1}}, "papers.gallery: .*, got 0"),
    "no length": ({"bits": []}, "bits: .*at least 1 item"),
    "a length of 0": ({"bits": [0]}, "bits.0: .*greater than or equal to 1, got 0"),
    "a row's length": ({"rows": [METHOD | {"bits": [8, 1025]}]}, "rows.0.bits.1: .*got 1025"),
    "a length that is a text": ({"bits": ["12"]}, "bits.0: .*integer, got '12'"),
    "a length twice": ({"bits": [8, 8]}, r"bits: each may be given once, got \[8, 8\]"),
    "a seed twice": ({"seeds": [0, 1, 0]}, r"seeds: each may be given once, got \[0, 1, 0\]"),
    "a negative seed": ({"seeds": [0, -1]}, "seeds.1: .*got -1"),
    "a protocol twice": ({"protocols": ["seen", "seen"]}, "protocols: each may be given once"),
    "another protocol": (
        {"protocols": ["scene"]},
        "protocols.0: .*'seen' or 'unseen', got 'scene'",
    ),
    "an empty title": ({"title": ""}, "title: must be one line of text, got ''"),
    "a title of two lines": ({"title": "a\nb"}, "title: must be one line of text"),
    "a name unfit for files": ({"rows": [METHOD | {"id": "a/b"}]}, "rows.0.id: .*got 'a/b'"),
    "neither method nor baseline": (
        {"rows": [{"id": "a", "label": "a"}]},
        "rows.0: a row has either config .* or baseline",
    ),
    "both": ({"rows": [METHOD | {"baseline": "lsh", "of": "ddh"}]}, "either config .* or baseline"),
    "a method of": ({"rows": [METHOD | {"of": "ddh"}]}, "of goes with baseline"),
    "a baseline of nothing": (
        {"rows": [METHOD, {"id": "a", "label": "a", "baseline": "lsh"}]},
        "of goes with baseline",
    ),
    "another baseline": ({"rows": [METHOD, baseline("pca")]}, "rows.1.baseline: .*got 'pca'"),
    "a baseline's seeds": (
        {"rows": [METHOD, baseline("lsh", seeds=[1])]},
        "takes its seeds and settings from the row",
    ),
    "a baseline's settings": (
        {"rows": [METHOD, baseline("lsh", set=["training.epochs=1"])]},
        "takes its seeds and settings from the row",
    ),
    "a row that sets its seed": (
        {"rows": [METHOD | {"set": ["seed=4"]}]},
        "seed is not a row's to set",
    ),
    "an id twice": ({"rows": [METHOD, METHOD | {"label": "b"}]}, "two rows have the id 'ddh'"),
    "a label twice": ({"rows": [METHOD, METHOD | {"id": "b"}]}, "two rows have the label 'DDH'"),
    "of an unknown row": (
        {"rows": [METHOD, baseline("lsh", of="dhd")]},
        r"row ddh_lsh: of 'dhd' is no row with a config \(did you mean 'ddh'\?\)",
    ),
    "of a baseline": (
        {"rows": [METHOD, baseline("lsh"), baseline("itq", of="ddh_lsh")]},
        "row ddh_itq: of 'ddh_lsh' is no row with a config",
    ),
    "a protocol not trained for": (
        {"rows": [METHOD | {"protocols": ["seen"]}, baseline("lsh", protocols=["unseen"])]},
        "row ddh_lsh: ddh is not trained for every protocol it asks",
    ),
    "a classifier of a length not trained": (
        {"rows": [METHOD, baseline("classifier", protocols=["seen"], bits=[48])]},
        "row ddh_classifier: ddh is not trained at every length it asks",
    ),
    "a classifier of strangers": (
        {"rows": [METHOD, baseline("classifier")]},
        r"row ddh_classifier: a classifier knows no strangers; set protocols: \[seen\]",
    ),
    "a classifier of strangers, by itself": (
        {"rows": [METHOD, baseline("classifier", protocols=["unseen"])]},
        "a classifier knows no strangers",
    ),
    "rows of different data": (
        {
            "rows": [METHOD, METHOD | {"id": "b", "label": "b", "set": ["dataset.side=64"]}],
        },
        "rows ddh and b read different data: dataset.side is 32 and 64",
    ),
    "another unknown method": (
        {"rows": [METHOD | {"config": "odd.yaml"}], "networks": {"odd.yaml": {"method": "ddg"}}},
        "row ddh: .*odd.yaml: .*'ddg'.*did you mean",
    ),
    "a configuration that is not there": (
        {"rows": [METHOD | {"config": "none.yaml"}]},
        "row ddh: .*none.yaml: configuration cannot be read",
    ),
    "an override that means nothing": (
        {"rows": [METHOD | {"set": ["training.epoch=1"]}]},
        "row ddh: .*unknown key 'training.epoch' .did you mean 'epochs'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_cannot_be_used_says_in_one_line_what_is_wrong(case, write):
    changes, message = WRONG[case]
    path = write(**changes)
    with pytest.raises(InputError, match=message) as caught:
        load_grid(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert "TableConfig" not in str(caught.value)
    assert isinstance(caught.value, GridError | ConfigError) or "YAML" in str(caught.value)


def test_a_table_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(
        GridError, match=r"pubfig.yaml: no such table \(did you mean 'pubfig83'\?\)"
    ):
        load_grid(Path("pubfig.yaml"))
    (tmp_path / "latin.yaml").write_bytes("title: Jürgen".encode("latin-1"))
    with pytest.raises(GridError, match="latin.yaml: cannot be read: not UTF-8 text"):
        load_grid(tmp_path / "latin.yaml")
