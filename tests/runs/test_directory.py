import pytest

from facehash.files import FileInUseError
from facehash.runs.directory import RunDirectory, RunError

CONFIG = "method: ddh\nbits: 48\ndataset:\n  name: orl\n  path: /one\ntraining:\n  epochs: 5\n"


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "runs" / "a")


def test_a_run_begins_with_its_configuration(run):
    run.begin(CONFIG)
    assert run.config.read_text() == CONFIG
    assert run.read_config()["training"] == {"epochs": 5}
    assert not run.finished


def test_the_same_configuration_may_begin_again(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    run.begin(CONFIG)
    assert run.history.exists()


def test_another_configuration_is_refused_naming_the_keys_that_differ(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    changed = CONFIG.replace("48", "24").replace("epochs: 5", "epochs: 6\n  batch: 3")
    with pytest.raises(RunError) as caught:
        run.begin(changed)
    message = str(caught.value)
    assert "begun with another configuration" in message
    for part in (
        "bits (was 48, now 24)",
        "training.epochs (was 5, now 6)",
        "training.batch (was None, now 3)",
        "--overwrite",
    ):
        assert part in message
    assert run.config.read_text() == CONFIG


def test_before_anything_is_learned_the_configuration_may_still_change(run):
    run.begin(CONFIG)
    run.begin(CONFIG.replace("48", "24"))
    assert run.read_config()["bits"] == 24


def test_data_in_another_place_is_no_other_configuration(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    run.begin(CONFIG.replace("/one", "/two"))
    assert run.read_config()["dataset"]["path"] == "/two"


def test_a_finished_run_is_kept_unless_told_to_overwrite(run):
    run.begin(CONFIG)
    run.model.write_text("weights")
    with pytest.raises(RunError, match="finished with another configuration"):
        run.begin(CONFIG.replace("48", "24"))
    assert run.finished
    run.begin(CONFIG.replace("48", "24"), overwrite=True)
    assert not run.finished


def test_a_folder_that_is_no_run_is_never_touched(run):
    run.path.mkdir(parents=True)
    photo = run.path / "photo.jpg"
    photo.write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="not empty and not a run"):
            run.begin(CONFIG, overwrite)
    assert photo.read_text() == "precious"


def test_a_folder_without_configuration_is_no_run(tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        RunDirectory(tmp_path).read_config()


def test_overwriting_deletes_what_a_run_makes_and_nothing_else(run):
    run.begin(CONFIG)
    for name in ("model.keras", "history.csv", "report.json", "codes.npz", "notes.txt"):
        (run.path / name).write_text("old")
    (run.path / "figures").mkdir()
    (run.path / "figures" / "a.png").write_text("old")
    run.begin(CONFIG.replace("48", "24"), overwrite=True)
    assert {path.name for path in run.path.iterdir()} == {"config.yaml", "notes.txt"}
    assert run.read_config()["bits"] == 24


@pytest.mark.parametrize("config", ["name: a web site\n", "- list\n", "method: ddh\n"])
def test_a_folder_with_somebody_elses_config_yaml_is_never_touched(run, config):
    run.path.mkdir(parents=True)
    run.config.write_text(config)
    (run.path / "report.json").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="not the configuration of a run"):
            run.begin(CONFIG, overwrite)
    assert (run.path / "report.json").read_text() == "precious"
    assert run.config.read_text() == config


def test_checking_touches_nothing(run):
    run.check(CONFIG)
    assert not run.path.exists()
    run.begin(CONFIG)
    run.model.write_text("weights")
    run.check(CONFIG.replace("48", "24"), overwrite=True)
    assert run.finished
    assert run.config.read_text() == CONFIG


def test_a_run_that_is_a_file_is_named(run):
    run.path.parent.mkdir()
    run.path.write_text("x")
    with pytest.raises(RunError, match="is a file; choose another --name"):
        run.check(CONFIG)


def test_what_a_killed_process_left_half_written_does_not_stand_in_the_way(run):
    # Killed while writing the first file, and again while writing later ones.
    for name in (".config.yaml.abc", ".history.csv.xyz"):
        (run.path / name).mkdir(parents=True)
        (run.path / name / "half").write_text("x")
    run.begin(CONFIG)
    assert [path.name for path in run.path.iterdir()] == ["config.yaml"]


def test_the_backup_of_a_finished_run_is_removed(run):
    run.begin(CONFIG)
    run.backup.parent.mkdir()
    run.backup.write_text("x")
    run.tidy()
    assert run.backup.exists()
    run.model.write_text("weights")
    run.tidy()
    assert not run.backup.parent.exists()


def test_only_one_process_holds_a_run_and_overwriting_does_not_change_that(run):
    with run.held():
        run.begin(CONFIG)
        run.begin(CONFIG, overwrite=True)
        with pytest.raises(FileInUseError, match="runs/a: another process works here"):
            with run.held():
                pass
    with run.held():
        pass


def test_a_configuration_that_is_no_text_is_named(run):
    run.path.mkdir(parents=True)
    run.config.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="config.yaml: not UTF-8 text"):
        run.read_config()
