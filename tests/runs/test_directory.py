import pytest

from facehash.files import FileInUseError
from facehash.runs.directory import RunDirectory, RunError, flatten

CONFIG = "method: ddh\nbits: 48\ndataset:\n  name: orl\n  path: /one\ntraining:\n  epochs: 5\n"
OTHER = CONFIG.replace("48", "24")


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "runs" / "a")


def start(run, config=CONFIG, overwrite=False):
    """Begin a training, as far as the directory goes."""
    with run.begin(config, overwrite):
        run.prepare(config, overwrite)


def files(run):
    return {path.name for path in run.path.iterdir()}


def test_a_run_starts_with_its_configuration_and_the_same_one_resumes_it(run):
    start(run)
    assert run.config.read_text() == CONFIG
    assert run.read_config()["training"]["epochs"] == 5
    assert "dataset.split" not in flatten(run.read_config(complete=False))
    assert not run.finished
    run.history.write_text("epoch\n1\n")
    start(run)
    assert run.history.exists()


def test_another_configuration_is_refused_naming_the_keys_that_differ(run):
    start(run)
    run.history.write_text("epoch\n1\n")
    changed = OTHER.replace("epochs: 5", "epochs: 6\n  batch: 3")
    with pytest.raises(RunError) as caught:
        start(run, changed)
    for part in (
        "started with another configuration",
        "bits (was 48, now 24)",
        "training.epochs (was 5, now 6)",
        "training.batch (was None, now 3)",
        "--overwrite",
    ):
        assert part in str(caught.value)
    assert run.config.read_text() == CONFIG


def test_the_configuration_may_change_before_anything_is_learned_and_the_path_of_data_always(run):
    start(run, OTHER)
    start(run)
    assert run.read_config()["bits"] == 48
    run.history.write_text("epoch\n1\n")
    start(run, CONFIG.replace("/one", "/two"))
    assert run.read_config()["dataset"]["path"] == "/two"


def test_a_key_that_an_older_version_lacked_counts_with_the_value_it_stood_for(run):
    start(run)
    run.history.write_text("epoch\n1\n")
    assert run.read_config()["dataset"]["split"] == "drawn"
    start(run, CONFIG.replace("dataset:", "dataset:\n  split: drawn"))
    with pytest.raises(RunError, match=r"dataset.split \(was 'drawn', now 'content'\)"):
        start(run, CONFIG.replace("dataset:", "dataset:\n  split: content"))


def test_a_finished_run_is_kept_without_overwrite(run):
    start(run)
    run.model.write_text("weights")
    with pytest.raises(RunError, match="finished with another configuration"):
        start(run, OTHER)
    with run.begin(OTHER, overwrite=True):  # and until the new one is ready
        assert run.finished
        assert run.config.read_text() == CONFIG
        run.prepare(OTHER, overwrite=True)
        assert not run.finished


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("photo.jpg", "precious", "not empty and not a run"),
        ("config.yaml", "name: a web site\n", "not the configuration of a run"),
        ("config.yaml", "method: ddh\n", "not the configuration of a run"),
    ],
)
def test_a_folder_that_is_not_a_run_is_never_touched(run, name, content, message):
    run.path.mkdir(parents=True)
    (run.path / name).write_text(content)
    for overwrite in (False, True):
        with pytest.raises(RunError, match=message):
            start(run, CONFIG, overwrite)
    assert files(run) == {name}
    assert (run.path / name).read_text() == content


def test_what_is_not_a_run_directory_is_named(run):
    run.path.mkdir(parents=True)
    with pytest.raises(RunError, match="not a run directory"):
        run.read_config()
    run.config.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="config.yaml: not UTF-8 text"):
        run.read_config()
    file = RunDirectory(run.config)
    with pytest.raises(RunError, match="is a file; choose another --name"):
        start(file)


def test_overwriting_deletes_what_a_run_writes_and_nothing_else(run):
    start(run)
    for name in ("model.keras", "history.csv", "report.json", "codes.npz", "notes.txt"):
        (run.path / name).write_text("old")
    (run.path / "figures").mkdir()
    (run.path / "figures" / "a.png").write_text("old")
    start(run, OTHER, overwrite=True)
    assert files(run) == {"config.yaml", "notes.txt"}
    assert run.read_config()["bits"] == 24


def test_half_written_files_of_a_killed_process_do_not_get_in_the_way(run):
    # Killed while writing the first file, and again while writing later ones.
    for name in (".config.yaml.abc", ".history.csv.xyz"):
        (run.path / name).mkdir(parents=True)
        (run.path / name / "half").write_text("x")
    start(run)
    assert files(run) == {"config.yaml"}


def test_only_one_process_trains_in_a_run_and_overwriting_does_not_change_that(run):
    with run.begin(CONFIG, overwrite=True):
        run.prepare(CONFIG, overwrite=True)
        with pytest.raises(FileInUseError, match="runs/a: in use by another process"):
            start(run)
    start(run)
