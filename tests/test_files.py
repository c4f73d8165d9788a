import subprocess
import sys

import pytest

from facehash.files import FileInUseError, atomic_write, file_lock, write_json


def test_a_file_appears_whole_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_of_a_full_disk_names_the_file(tmp_path):
    for error in (OSError(28, "No space left on device"), OSError("9 requested and\n 2 written")):
        with pytest.raises(OSError) as caught, atomic_write(tmp_path / "file.npy"):
            raise error
        assert caught.value.filename == str(tmp_path / "file.npy")
        assert caught.value.strerror in ("No space left on device", "9 requested and 2 written")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "file.npy"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def test_json_is_readable_text_and_nan_is_refused(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"name": "Zoë"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert "Zoë" in path.read_text(encoding="utf-8")


HOLDER = """
import sys, time
from pathlib import Path
from facehash.files import file_lock
with file_lock(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path):
    """A lock file that another process holds."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield path, process
    process.kill()
    process.wait()


def test_what_another_process_holds_is_refused_until_it_is_killed(held):
    path, process = held
    with (
        pytest.raises(FileInUseError, match="the run: in use by another process"),
        file_lock(path, "the run"),
    ):
        pass
    process.kill()
    process.wait()
    with file_lock(path, "the run"):
        pass


def test_waiting_is_announced_and_ends_with_the_other_process(held):
    path, process = held
    calls = []
    with file_lock(path, "the run", on_wait=lambda: calls.append(process.kill())):
        assert calls == [None]
    assert process.wait() < 0
