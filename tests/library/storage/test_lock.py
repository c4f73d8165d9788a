import os

import pytest

from facehash.files import FileInUseError
from facehash.library.storage.lock import writing


def test_the_holder_is_named_while_it_writes_and_not_after(tmp_path):
    with writing(tmp_path, "index"):
        told = (tmp_path / "lock").read_text()
        assert told.startswith(f"process {os.getpid()} (facehash index, since ")
        with (
            pytest.raises(FileInUseError, match=rf"process {os.getpid()} .*wait until it is done"),
            writing(tmp_path, "forget"),
        ):
            pass
    assert (tmp_path / "lock").read_text() == ""
    with writing(tmp_path, "forget"):
        pass


def test_an_error_frees_the_library(tmp_path):
    with pytest.raises(RuntimeError), writing(tmp_path, "index"):
        raise RuntimeError
    with writing(tmp_path, "index"):
        pass
