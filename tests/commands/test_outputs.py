"""The files that commands write where the user says: nothing else is destroyed."""

import csv
import functools
import io
import json
import os
import stat
import threading
import typing
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from facehash import cli
from facehash.bench.run import bench
from facehash.figures.style import save as save_figure
from tests.library.conftest import draw, save

# Every file that a command writes where the user says, by the option or argument that names it.
OUTPUTS = {
    "search --csv": ".csv",
    "search --html": ".html",
    "search --strip": ".png",
    "photos --csv": ".csv",
    "cluster --html": ".html",
    "export FILE": ".csv",
    "export FILE, JSON": ".json",
    "export FILE, HDF5": ".h5",
    "backup FILE": ".json",
    # bench names its two files itself, in the folder that the user names
    "bench --output": "bench.json",
    "bench --output, chart": "tradeoff.png",
}
# The other paths that commands take: files that are read, folders for photos, which replace nothing
# (tests/commands/test_photos.py), and folders for sidecars, which replace only sidecars of this
# project (tests/library/upkeep/test_sidecars.py). What is in `--library` and `--weights-dir` has
# its own names.
INPUTS = {
    "add_weights files", "encode photos", "forget photo", "index folder", "restore file",
    "photos copy_to", "photos link_to", "export xmp", "add_face photo", "serve photos",
    "serve token_file", "serve password_file",
    "index tls_ca", "index tls_cert", "index tls_key", "search queries", "verify first",
    "verify second",
}  # fmt: skip


@pytest.fixture
def album(tmp_path):
    """A folder of photos that has only subfolders itself."""
    save(tmp_path / "album" / "2019" / "x.png", draw(9))
    return tmp_path / "album"


@pytest.fixture
def library(index, directory, album):
    """A library of two folders; the faces of one are named after its folders."""
    index(names="folders")
    index(folder=album)
    return directory


@functools.cache
def measure_once():
    """Return what replaces the measuring of bench: every library gets the results of the first."""
    found = []

    def measure(*given):
        found[:] = found or [bench(*given)]
        return found[0]

    return measure


@pytest.fixture
def write(facehash, library, photos, monkeypatch):
    """Run a command that writes a file, which bench names itself; its chart is empty."""
    monkeypatch.setattr("facehash.bench.run.bench", measure_once())
    monkeypatch.setattr(
        "facehash.bench.plot.write_tradeoff", lambda _, path, __: save_figure(Figure((1, 1)), path)
    )

    def write(output, path, *more):
        command, option = output.partition(",")[0].split()
        if command == "bench":
            small = ["--codes", "lsh", "--bits", 8, "--near-duplicate", 2, "--draws", 0]
            return facehash(command, library, *small, option, path.parent, *more)
        asked = {"search": [photos / "Bo/0.png", "-k", 2], "photos": ["--person", "Ann"]}
        asked["cluster"] = ["--distance", 1.9]
        words = [*asked.get(command, []), *([] if option == "FILE" else [option]), path]
        if command == "cluster":
            words = ["cluster", *words]
            command = "people"
        return facehash(command, *words, "--library", library, *more)

    return write


def name_of(output, folder):
    """Return a path for an output in a folder."""
    name = OUTPUTS[output]
    return folder / (f"new{name}" if name.startswith(".") else name)


def test_no_command_writes_a_file_that_is_not_tested_here():
    groups = [cli.app, *(group.typer_instance for group in cli.app.registered_groups)]
    found = {
        f"{command.callback.__name__} {name}"
        for group in groups
        for command in group.registered_commands
        for name, kind in typing.get_type_hints(command.callback).items()
        if "Path" in str(kind) and name not in ("library", "weights_dir")
    }
    written = {output.partition(",")[0].replace("--", "").lower() for output in OUTPUTS}
    assert found == INPUTS | written


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_photo_survives_every_output(output, write, tmp_path):
    path = name_of(output, tmp_path)
    wrong = path.with_suffix(".jpg") if path.stem == "new" else path
    for name in (wrong, path):
        photo = save(tmp_path / "a.png", draw(5)).rename(name)
        before = photo.read_bytes()
        code, out, err = write(output, photo)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert photo.read_bytes() == before
    assert "--force" in err and write(output, path, "--force")[0] == 0
    assert photo.read_bytes() != before
    assert write(output, path)[0] == 0  # ours now
    if wrong != path:  # the ending selects what is written
        assert write(output, wrong, "--force")[0] == 2


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_stay_out_of_the_library_and_the_photos(output, write, library, photos, album):
    inside = name_of(output, library)
    code, out, err = write(output, inside, "--force")
    assert (code, out) == (2, "") and "is in the library" in err and not inside.exists()
    (album.parent / "link").symlink_to(album)
    for folder, indexed in (
        (photos, photos),
        (photos / "Ann", photos / "Ann"),
        (photos / "new" / "deep", photos),
        (album, album),
        (album / "2020", album),
        (album.parent / "link", album),
    ):
        path = name_of(output, folder)
        code, out, err = write(output, path)
        assert (code, out) == (2, "") and not path.exists()
        assert f"is in {indexed}, a folder with indexed photos" in err and "or add --force" in err
    assert write(output, path, "--force")[0] == 0 and path.is_file()


@pytest.mark.parametrize("output", ["search --strip", "bench --output, chart"])
def test_a_photo_of_the_library_is_not_replaced_even_with_force(output, write, index, album):
    photo = save(name_of(output, album), draw(11))
    index(folder=album)
    before = photo.read_bytes()
    code, out, err = write(output, photo, "--force")
    assert (code, out) == (2, "") and "is a photo of the library" in err
    assert photo.read_bytes() == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_link_stays_and_pipes_and_devices_are_written_to(output, write, tmp_path):
    (tmp_path / "out").mkdir()
    path = name_of(output, tmp_path)
    path.symlink_to(Path("out", f"real{path.suffix}"))
    for _ in range(2):
        assert write(output, path)[0] == 0
    assert path.is_symlink()
    written = (tmp_path / "out" / f"real{path.suffix}").read_bytes()
    path.unlink()
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    assert write(output, path)[0] == 0
    reader.join()
    assert stat.S_ISFIFO(path.stat().st_mode) and got[0][:8] == written[:8]
    path.unlink()
    path.symlink_to("/dev/null")
    assert write(output, path)[0] == 0
    assert path.is_symlink() and stat.S_ISCHR(path.stat().st_mode)


def test_results_on_standard_output_stand_alone(write, tmp_path):
    code, out, err = write("search --csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(rows) == 2 and rows[0]["rank"] == "1"
    code, out, err = write("export FILE", "-")
    assert code == 0 and len(list(csv.DictReader(io.StringIO(out)))) == 8
    assert err == "8 faces in -\n"
    assert write("search --html", "/dev/stdout")[1].startswith("<!DOCTYPE html>")
    code, out, err = write("search --csv", "-", "--json")
    assert (code, out) == (2, "") and "give one of --json, --csv, --html and --strip" in err
    code, out, err = write("search --csv", "/dev/null", "--json")
    assert code == 0 and json.loads(out)["faces"] == 8


def test_outputs_name_their_maker(write, tmp_path):
    write("search --strip", tmp_path / "a.png")
    write("search --html", tmp_path / "a.html")
    with Image.open(tmp_path / "a.png") as strip:
        assert strip.text["Creator"] == "facehash"
    assert '<meta name="generator" content="facehash">' in (tmp_path / "a.html").read_text()
