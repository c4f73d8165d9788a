"""A small table of unseen people: measured, summarized and written in every format."""

import json
import shutil

import numpy as np
import pytest
import yaml

from experiments.table.config import GridError
from experiments.table.reports import ResultError, read_result
from experiments.unseen.config import load_unseen_table
from experiments.unseen.reproduce import find_vectors, make_unseen_table
from experiments.unseen.run_cell import measure, read_data
from experiments.unseen.summary import difference, read_reports, summarize
from facehash.config import ConfigError
from facehash.errors import InputError
from tests.conftest import ROOT

VECTORS = str(ROOT / "configs/orthohash/vectors.yaml")
TABLE = {
    "kind": "unseen_people",
    "title": "Trial <of> codes",
    "note": "made-up people",
    "train": "train.npz",
    "judged": "judged.npz",
    "distractors": "others.npz",
    "galleries": [{"id": "small"}, {"id": "large", "size": 150}],
    "bits": [8, 16],
    "seeds": [0, 1],
    "draws": 3,
    "leave_one_out": 40,
    "shortlist": {"candidates": 20, "last": 5},
    "baseline": "itq",
    "bars_gallery": "large",
    "bars_bits": 16,
    "bars": [
        {
            "of": {"row": "witq", "fit": "others", "distance": "asymmetric"},
            "against": {"row": "itq", "fit": "others", "distance": "asymmetric"},
            "at_least": 0.01,
        },
        {
            "of": {"row": "itq", "fit": "adapted", "distance": "shortlist"},
            "against": {"row": "float", "fit": "none", "distance": "vectors"},
            "metric": "P@1",
            "at_least": 0.5,
        },
    ],
    "rows": [
        {"id": "float", "label": "Float vectors", "method": "float"},
        {"id": "itq", "label": "ITQ", "method": "itq", "shortlist": True},
        {"id": "witq", "label": "Whitened ITQ", "method": "witq"},
    ],
}
NETWORK = {"id": "ortho", "label": "OrthoHash", "config": VECTORS, "seeds": [3]}
NETWORK["set"] = ["training.epochs=2", "training.learning_rate=0.01"]


def write_people(path, prefix, seed, people=40, photos=3):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(people), photos)
    # Photos of a person differ most where people differ least.
    spread = np.linspace(1, 0.1, 16)
    rows = rng.normal(size=(people, 16))[of] * spread
    rows = rows + 0.7 * rng.normal(size=(len(of), 16)) * spread[::-1] + 0.2
    np.savez(path, vectors=rows.astype(np.float16), labels=[f"{prefix} {one}" for one in of])


def write_table(folder, **changed):
    path = folder / "trial.yaml"
    path.write_text(yaml.safe_dump(TABLE | changed))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All cells measured in this process, and the table written."""
    folder = tmp_path_factory.mktemp("unseen")
    write_people(folder / "train.npz", "train", 0, people=100)
    write_people(folder / "judged.npz", "judged", 1)
    write_people(folder / "others.npz", "other", 2)
    np_path = folder / "others.npz"
    with np.load(np_path) as held:
        vectors, labels = held["vectors"], held["labels"]
    labels[:3] = "JUDGED 0"  # is judged, so no distractor
    np.savez(np_path, vectors=vectors, labels=labels)
    path = write_table(folder)
    table = load_unseen_table(path)
    for cell in table.cells:
        measure(table, cell, folder, folder / "runs", folder / "results/reports")
    code = make_unseen_table(path, None, 1, folder / "results", folder / "runs", [], True)
    return folder, code, read_result(folder / "results/trial.json")


def scores_of(summary, row, fit, distance, bits=16, gallery="large"):
    [found] = [
        one
        for one in summary["rows"]
        if (one["row"], one["fit"], one["distance"], one["gallery"])
        == (row, fit, distance, gallery)
        and one["bits"] in (bits, None)
    ]
    return found


def test_every_fit_and_distance_is_scored_in_every_gallery(made):
    folder, code, summary = made
    assert code == 0 and summary["missing"] == []
    counts = summary["data"]
    assert counts["train"] == {"faces": 300, "people": 100}
    assert counts["galleries"]["small"]["faces"] == 80
    assert counts["galleries"]["large"]["faces"] == 150
    assert counts["galleries"]["large"]["queries"] == 40
    # float: 2 fits; itq: 3 fits, 3 distances; witq: 3 fits, 2 distances; 2 lengths of codes.
    assert len(summary["rows"]) == 2 * (2 + 2 * (9 + 6))
    for row in summary["rows"]:
        assert 0 < row["mAP_lower"] <= row["mAP"] <= row["mAP_upper"] <= 1
        assert row["mAP_sd"] > 0
        assert (row["TAR@1e-3"] is None) == (row["distance"] == "shortlist")
        assert ("leave_one_out" in row) == (row["distance"] != "shortlist")
    ceiling = scores_of(summary, "float", "none", "vectors")
    assert ceiling["recall@10"] == 1 and ceiling["bytes_per_face"] == 64
    for fit in ("others", "recentred", "adapted"):
        assert scores_of(summary, "itq", fit, "hamming")["mAP"] < ceiling["mAP"]
    assert (
        scores_of(summary, "itq", "others", "hamming")["mAP"]
        < scores_of(summary, "itq", "others", "asymmetric")["mAP"]
    )
    listed = scores_of(summary, "itq", "adapted", "shortlist")
    assert listed["bytes_read"] == 2 * 150 + 2 * 20 + 5 * 64
    assert listed["P@1"] > scores_of(summary, "itq", "adapted", "asymmetric")["P@1"]


def test_differences_are_those_of_people_and_bars_follow_from_them(made):
    folder, _, summary = made
    report, other = (
        json.loads((folder / f"results/reports/trial-{name}-16.json").read_text())
        for name in ("witq", "itq")
    )
    pair = [
        next(
            score
            for score in one["scores"]
            if (score["gallery"], score["fit"], score["distance"])
            == ("large", "others", "asymmetric")
        )
        for one in (report, other)
    ]
    people = [np.array(one["people"]["mAP"]) / 1e4 for one in pair]
    assert people[0].shape == (40,)
    assert people[0].mean() == pytest.approx(pair[0]["mAP"], abs=1e-4)
    bar, shortlist = summary["bars"]
    assert bar["difference"] == pytest.approx(pair[0]["mAP"] - pair[1]["mAP"])
    # The bootstrap of a mean estimates the standard error of a mean.
    expected = 2 * np.std(people[0] - people[1], ddof=1) / np.sqrt(40)
    assert bar["two_standard_errors"] == pytest.approx(expected, rel=0.1)
    assert bar["met"] == (bar["difference"] >= 0.01)
    assert bar["met"] is True and shortlist["met"] is False
    shown = scores_of(summary, "witq", "others", "asymmetric")
    assert shown["over_baseline"]["mAP"]["difference"] == bar["difference"]
    assert "over_baseline" not in scores_of(summary, "itq", "others", "asymmetric")
    assert difference(pair[0], pair[0], "mAP") == {"difference": 0.0, "two_standard_errors": 0.0}


def test_the_table_is_written_in_every_format(made):
    folder, _, summary = made
    results = folder / "results"
    document = (results / "trial.md").read_text()
    row = scores_of(summary, "witq", "others", "asymmetric")
    text = f"{row['mAP']:.3f} ± {row['mAP_sd']:.3f}"
    for suffix in (".md", ".html"):
        assert text in (results / f"trial{suffix}").read_text()
    assert text.replace("±", r"$\pm$") in (results / "trial.tex").read_text()
    assert document.count("150 faces, 16 bits") == 1 and "shortlist (660 bytes read)" in document
    assert "| Whitened ITQ fitted to other people, float query |" in document
    assert document.index("150 faces") < document.index("80 faces")
    page = (results / "trial.html").read_text()
    assert "Trial &lt;of&gt; codes" in page and page.count("<svg") == 2
    assert len(list((results / "figures/trial").iterdir())) == 4
    assert (results / "trial.tex").read_text().count(r"\begin{tabular}") == 4


def test_a_finished_table_needs_no_data_and_other_settings_are_refused(made, tmp_path, capsys):
    folder = shutil.copytree(made[0], tmp_path / "copy")
    path = folder / "trial.yaml"
    options = (1, folder / "results", folder / "runs", [], False)
    assert make_unseen_table(path, tmp_path / "nowhere", *options) == 0
    printed = capsys.readouterr().out
    assert "5 of 5 cells done" in printed and "| Whitened ITQ fitted to other people" in printed
    write_table(folder, draws=2)
    with pytest.raises(ResultError, match="trial-float-float.json: measured with other settings: "):
        make_unseen_table(path, None, *options)


def test_missing_cells_leave_bars_open(made):
    folder = made[0]
    table = load_unseen_table(folder / "trial.yaml")
    reports = read_reports(table, folder / "results/reports")
    del reports["witq-16"]
    summary = summarize(table, reports)
    assert summary["missing"] == ["witq-16"]
    assert [bar["met"] for bar in summary["bars"]] == [None, False]


def test_people_who_are_trained_on_and_judged_are_refused(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "copy")
    write_people(folder / "train.npz", "Judged", 0)
    with pytest.raises(InputError, match="40 people of train.npz are also in judged.npz or others"):
        read_data(load_unseen_table(folder / "trial.yaml"), folder)


def test_the_folder_of_vectors_is_given_or_under_the_environment(made, tmp_path, monkeypatch):
    table = load_unseen_table(made[0] / "trial.yaml")
    assert find_vectors(table, made[0]) == made[0]
    monkeypatch.delenv("FACEHASH_DATA", raising=False)
    with pytest.raises(InputError, match="pass --data DIR, or set FACEHASH_DATA to the folder"):
        find_vectors(table, None)
    monkeypatch.setenv("FACEHASH_DATA", str(tmp_path))
    with pytest.raises(InputError, match="vectors/train.npz does not exist; "):
        find_vectors(table, None)
    shutil.copytree(made[0], tmp_path / "vectors")
    assert find_vectors(table, None) == tmp_path / "vectors"


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"baseline": "itk"}, "no row 'itk' .did you mean 'itq'"),
        ({"bars_gallery": "huge"}, "no gallery 'huge'"),
        ({"rows": TABLE["rows"] + [TABLE["rows"][0]]}, "two rows have the id 'float'"),
        ({"rows": [{"id": "a", "label": "A"}]}, "exactly one of config"),
        ({"seed": 3}, "unknown key"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, changed, message):
    with pytest.raises(GridError, match=message):
        load_unseen_table(write_table(tmp_path, **changed))


def test_a_row_that_is_no_linear_head_is_refused(tmp_path):
    rows = [*TABLE["rows"], NETWORK | {"set": ["model.hidden=8"]}]
    with pytest.raises(ConfigError, match="row ortho: .*is no linear head on vectors"):
        load_unseen_table(write_table(tmp_path, rows=rows))


@pytest.mark.full
def test_a_network_is_trained_on_the_other_people_and_scored_as_a_linear_head(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "copy")
    path = write_table(folder, rows=[*TABLE["rows"], NETWORK], bits=[16])
    options = (2, folder / "results", folder / "runs", ["ortho"], False)
    assert make_unseen_table(path, folder, *options) == 0
    summary = read_result(folder / "results/trial.json")
    found = scores_of(summary, "ortho", "recentred", "asymmetric")
    assert found["seeds"] == [3] and found["mAP"] > 0.05
    run = folder / "runs/trial/ortho-16-s3"
    with np.load(run / "split.npz") as split:
        assert len(split["train"]) == 300  # all of them, and nobody who is judged
    [cell] = [one for one in summary["cells"] if one["cell"] == "ortho-16"]
    assert cell["backend"] == "tensorflow"
    before = (run / "model.keras").stat().st_mtime_ns
    (folder / "results/reports/trial-ortho-16.json").unlink()
    assert make_unseen_table(path, folder, *options) == 0
    assert (run / "model.keras").stat().st_mtime_ns == before
