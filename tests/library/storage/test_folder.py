import os

import pytest

from facehash.files import FileInUseError
from facehash.library.storage.folder import (
    make_private_file,
    make_private_folder,
    open_to_others,
    private_atomic_write,
    write_lock,
)


@pytest.fixture(autouse=True)
def permissive_umask():
    """New files are open to everybody unless created otherwise."""
    old = os.umask(0)
    yield
    os.umask(old)


def test_new_files_and_folders_are_private(tmp_path):
    folder = tmp_path / "new" / "folder"
    make_private_folder(folder)
    make_private_file(folder / "empty")
    with private_atomic_write(folder / "file") as temporary:
        temporary.write_text("text")
    make_private_file(folder / "file")
    assert open_to_others(folder) == []
    assert (folder / "file").read_text() == "text"


def test_an_open_folder_is_found_and_closed(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    assert open_to_others(folder) == [folder, folder / "file"]
    make_private_folder(folder)
    assert open_to_others(folder) == [folder / "file"]


def test_a_second_writer_gets_an_error_with_the_holder_of_the_lock(tmp_path):
    holder = rf"process {os.getpid()} \(facehash index, since .* is writing to it; wait until"
    with (
        write_lock(tmp_path, "index"),
        pytest.raises(FileInUseError, match=holder),
        write_lock(tmp_path, "forget"),
    ):
        pass
    assert (tmp_path / "lock").read_text() == ""
    # Also an error in the block releases the lock.
    with pytest.raises(RuntimeError), write_lock(tmp_path, "forget"):
        raise RuntimeError
    with write_lock(tmp_path, "index"):
        pass
