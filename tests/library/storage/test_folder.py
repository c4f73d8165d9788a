import os

import pytest

from facehash.library.storage.folder import (
    make_private_file,
    make_private_folder,
    open_to_others,
    private_atomic_write,
)


@pytest.fixture(autouse=True)
def careless():
    """A user whose files are open to all unless told otherwise."""
    old = os.umask(0)
    yield
    os.umask(old)


def test_what_is_made_is_closed_to_others(tmp_path):
    folder = tmp_path / "new" / "folder"
    make_private_folder(folder)
    make_private_file(folder / "empty")
    with private_atomic_write(folder / "file") as temporary:
        temporary.write_text("text")
    assert open_to_others(folder) == []
    assert (folder / "file").read_text() == "text"


def test_what_is_open_is_found_and_closed(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    assert open_to_others(folder) == [folder, folder / "file"]
    make_private_folder(folder)
    assert open_to_others(folder) == [folder / "file"]


def test_a_file_that_is_there_is_left(tmp_path):
    (tmp_path / "file").write_text("text")
    make_private_file(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "text"
