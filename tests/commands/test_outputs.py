"""The files that commands write where the user says: nothing else is destroyed."""

import csv
import io
import json
import os
import stat
import threading

import pytest
from PIL import Image

from tests.library.conftest import draw, save

OPTIONS = {"--csv": ".csv", "--html": ".html", "--strip": ".png", "export": ".csv"}


@pytest.fixture
def write(facehash, library, photos, tmp_path):
    """Run a search or an export that writes a file."""

    def write(option, path, *more):
        if option == "export":
            return facehash("export", path, "--library", library, *more)
        return facehash(
            "search", photos / "Bo/0.png", "--library", library, "-k", 2, option, path, *more
        )

    return write


@pytest.mark.parametrize("option", OPTIONS)
def test_a_photo_survives_every_output_option(option, write, tmp_path):
    for name in ("precious.jpg", f"precious{OPTIONS[option]}"):
        photo = save(tmp_path / "a.png", draw(5)).rename(tmp_path / name)
        before = photo.read_bytes()
        code, out, err = write(option, photo)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert photo.read_bytes() == before
    assert "--force" in err and write(option, photo, "--force")[0] == 0
    assert photo.read_bytes() != before
    assert write(option, photo)[0] == 0  # ours now


@pytest.mark.parametrize("option", OPTIONS)
def test_outputs_stay_out_of_the_library_and_the_photos(option, write, library, photos):
    name = f"new{OPTIONS[option]}"
    for folder, message in (
        (library, "is in the library"),
        (photos, f"is among the indexed photos of {photos}"),
        (photos / "Ann", "is among the indexed photos of"),
        (photos / "new" / "deep", "is among the indexed photos of"),
    ):
        code, out, err = write(option, folder / name, "--force")
        assert (code, out) == (2, "") and message in err and not (folder / name).exists()


def test_a_link_stays_and_a_pipe_is_written_to(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link.csv").symlink_to("out/real.csv")
    for _ in range(2):
        assert write("--csv", tmp_path / "link.csv")[0] == 0
    assert (tmp_path / "link.csv").is_symlink()
    table = (tmp_path / "out" / "real.csv").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert write("--csv", pipe)[0] == 0
    reader.join()
    assert got == [table] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_results_on_standard_output_stand_alone(write, tmp_path):
    code, out, err = write("--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(rows) == 2 and rows[0]["rank"] == "1"
    code, out, err = write("export", "-")
    assert code == 0 and len(list(csv.DictReader(io.StringIO(out)))) == 7
    assert err == "7 faces in -\n"
    assert write("--html", "/dev/stdout")[1].startswith("<!DOCTYPE html>")
    code, out, err = write("--csv", "-", "--json")
    assert (code, out) == (2, "") and "give one of --json, --csv, --html and --strip" in err
    code, out, err = write("--csv", "/dev/null", "--json")
    assert code == 0 and json.loads(out)["faces"] == 7


def test_outputs_name_their_maker(write, tmp_path):
    write("--strip", tmp_path / "a.png")
    write("--html", tmp_path / "a.html")
    with Image.open(tmp_path / "a.png") as strip:
        assert strip.text["Creator"] == "facehash"
    assert '<meta name="generator" content="facehash">' in (tmp_path / "a.html").read_text()


def test_bench_replaces_its_own_report_only(facehash, library, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bench.json").write_text('{"mine": 1}\n')
    code, _, err = facehash("bench", library, "--output", tmp_path / "out")
    assert code == 2 and "bench.json: exists and is not a JSON file that facehash wrote" in err
    assert (tmp_path / "out" / "bench.json").read_text() == '{"mine": 1}\n'
