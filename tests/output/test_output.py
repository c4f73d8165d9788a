import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facehash.errors import InputError
from facehash.files import write_json
from facehash.output import (
    HTML,
    PNG,
    check_output,
    csv_format,
    hdf5_format,
    json_format,
    replace_output,
    write,
    writes_to_stdout,
)
from tests.conftest import ROOT
from tests.helpers.privileges import ordinary_rights

TABLE = csv_format("path,name")


def write_output(path, text="path,name\nnew\n", **options):
    with replace_output(path, **options) as temporary:
        temporary.write_text(text)


def test_what_is_not_an_earlier_output_is_never_replaced_without_force(tmp_path):
    path = tmp_path / "precious.csv"
    for content in (b"\xff\xd8\xff\xe0 a photo", b"name,path\n", b"old\n", b"{}"):
        path.write_bytes(content)
        message = "precious.csv: exists and is not a CSV file that facehash wrote; .*--force"
        with pytest.raises(InputError, match=message):
            check_output(path, TABLE, "--csv")
        check_output(path, TABLE, "--csv", force=True)
    for content in (b"", b"path,name\n1,2\n", b"\xef\xbb\xbfpath,name,face\r\n"):
        path.write_bytes(content)
        check_output(path, TABLE, "--csv")
    path.write_bytes(b"secret")
    path.chmod(0)
    with ordinary_rights(), pytest.raises(InputError, match="exists and is not"):
        check_output(path, TABLE, "--csv")
    check_output(tmp_path / "new" / "found.csv", TABLE, "--csv")


def test_every_format_knows_its_own_files_and_no_others(tmp_path):
    paths = [tmp_path / name for name in ("a.csv", "a.json", "a.h5", "a.html", "a.png")]
    table, plain, arrays, page, picture = paths
    table.write_text("path,name\n")
    write_json(plain, {"schema": 1, "settings": {"faces": 3}})
    with h5py.File(arrays, "w") as file:
        file["many"] = np.zeros(100_000)
        file.attrs["detector_identity"] = "yunet"
    page.write_text('<!doctype html>\n<meta name="generator" content="facehash">')
    text = PngInfo()
    text.add_text("Creator", "facehash")
    Image.new("RGB", (4, 4)).save(picture, pnginfo=text)
    formats = (TABLE, json_format("schema", "settings"), hdf5_format("detector_identity"))
    for number, kind in enumerate((*formats, HTML, PNG)):
        assert [kind.is_ours(path) for path in paths] == [i == number for i in range(5)]
    page.write_text("<title>facehash search</title>")  # before 0.2.0
    assert HTML.is_ours(page)
    Image.new("RGB", (4, 4)).save(picture)
    assert not PNG.is_ours(picture)
    picture.write_bytes(picture.read_bytes()[:20] + b"\xff" * 9)
    assert not PNG.is_ours(picture)
    write_json(plain, {"faces": {"schema": 1, "settings": 2}})
    assert not formats[1].is_ours(plain)
    with h5py.File(arrays, "w") as file:
        file["other"] = [1]
    assert not formats[2].is_ours(arrays)


def test_names_that_do_no_good_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "inside.csv").symlink_to(tmp_path / "lib" / "x.csv")
    formats = [TABLE, json_format("schema")]
    with ordinary_rights():
        for name, message in (
            ("photo.jpg", "--out writes a file; its name must end in .csv or .json"),
            ("photo", "its name must end in .csv or .json"),
            ("folder.csv", "is a folder; --out writes a CSV file"),
            ("file/a.csv", "Not a directory"),
            ("loop.csv", "symbolic link"),
            ("lib/a.json", "is in the library"),
            ("inside.csv", "is in the library"),
            ("closed/a.csv", "cannot be written to"),
        ):
            with pytest.raises(InputError, match=message):
                check_output(
                    tmp_path / name, formats, "--out", force=True, outside=[tmp_path / "lib"]
                )
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tmp_path / "s.csv"))
        with pytest.raises(InputError, match="is a device or socket"):
            check_output(tmp_path / "s.csv", formats, "--out", force=True)


def test_a_file_is_replaced_and_a_link_stays(tmp_path):
    target = tmp_path / "out" / "real.txt"
    write_output(target, "path,name\nold\n", private=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    link, dangling = tmp_path / "link.csv", tmp_path / "dangling.csv"
    link.symlink_to("out/real.txt")
    dangling.symlink_to("out/new.csv")
    for path in (link, dangling):
        check_output(path, TABLE, "--csv")
        write_output(path)
        assert path.is_symlink()
    assert target.read_text() == (tmp_path / "out" / "new.csv").read_text() == "path,name\nnew\n"
    with pytest.raises(ZeroDivisionError), replace_output(link) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "path,name\nnew\n"
    assert sorted(os.listdir(tmp_path / "out")) == ["new.csv", "real.txt"]


def test_pipes_are_written_to_and_stay_pipes(tmp_path):
    pipe = tmp_path / "pipe.jpg"  # the ending of a pipe does not matter
    os.mkfifo(pipe)
    check_output(pipe, TABLE, "--csv")
    got = []

    def read():
        time.sleep(0.2)  # the reader may come later
        got.append(pipe.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    write_output(pipe, "x" * 200_000)
    reader.join()
    assert got == [b"x" * 200_000] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_from_which_nobody_reads_is_an_error_and_not_a_wait_forever(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(write, "PIPE_SECONDS", 0.1)
    with pytest.raises(InputError, match="no program reads from this pipe"):
        write_output(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_devices_stay_devices(tmp_path):
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        device.open("wb").close()
    except PermissionError:
        device = Path("/dev/null")
    check_output(device, TABLE, "--csv")
    write_output(device)
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_block_device_is_refused_even_with_force(tmp_path):
    try:
        os.mknod(tmp_path / "disk.csv", stat.S_IFBLK | 0o600, os.makedev(7, 0))
    except PermissionError:
        pytest.skip("needs the right to make a device")
    with pytest.raises(InputError, match="is a device or socket"):
        check_output(tmp_path / "disk.csv", TABLE, "--csv", force=True)


@pytest.mark.parametrize(
    ("name", "redirection"),
    [
        ("-", "> {out}"),
        ("/dev/stdout", "> {out}"),
        ("/dev/stdout", "| cat > {out}"),
        ("/dev/fd/3", "3> {out}"),
        (">(cat > {out}; echo done)", "| cat > /dev/null"),
    ],
)
def test_open_files_of_the_shell_are_written_to(tmp_path, name, redirection):
    out = tmp_path / "out.txt"
    program = (
        "import sys; from pathlib import Path; from facehash.output import *\n"
        "p = Path(sys.argv[1])\n"
        "check_output(p, PNG, '--strip')\n"
        "with replace_output(p) as t: t.write_text('new')\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = f"{sys.executable} {tmp_path}/program.py {name} {redirection}".format(out=out)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-c", command], check=True, env=environment)
    assert out.read_text() == "new"


def test_standard_output_has_several_names():
    assert [writes_to_stdout(Path(name)) for name in ("-", "/dev/fd/1", "/dev/null", "./-x")] == [
        True,
        True,
        False,
        False,
    ]
    assert not writes_to_stdout(None)
