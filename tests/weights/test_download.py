import fcntl

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.weights import download as module
from facehash.weights.download import DownloadError, download
from tests.helpers.file_server import serving

SIZE = 700_000
CONTENT = np.random.default_rng(0).bytes(SIZE)


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


def verify(path):
    if path.read_bytes() != CONTENT:
        raise InputError("another digest")


def fetch(server, target, size=SIZE):
    download(server.url, target, size, verify)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_arrives_whole_and_nothing_is_left_beside_it(server, tmp_path):
    fetch(server, tmp_path / "new" / "file.bin")
    assert (tmp_path / "new" / "file.bin").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["file.bin"]
    assert server.asked == [None]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    server.cuts = [300_000, 100_000]
    fetch(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=400000-"]


def test_a_download_that_failed_is_gone_on_with_by_the_next_command(server, tmp_path):
    server.cuts = [50_000] + [0] * 4
    with pytest.raises(DownloadError, match="50000 of 700000 bytes are kept; the same command"):
        fetch(server, tmp_path / "file.bin")
    assert names(tmp_path) == ["file.bin.part"]
    server.asked.clear()
    fetch(server, tmp_path / "file.bin")
    assert server.asked == ["bytes=50000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT and names(tmp_path) == ["file.bin"]


def test_a_server_that_ignores_range_is_read_from_the_beginning(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    fetch(server, tmp_path / "file.bin")
    assert server.asked == ["bytes=1000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_complete_part_needs_no_server(tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    download("http://127.0.0.1:1/nobody", tmp_path / "file.bin", len(CONTENT), verify)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_the_wrong_file_never_takes_the_name_and_is_deleted(server, tmp_path):
    server.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="sent another file and it was deleted: another digest"):
        fetch(server, tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_a_wrong_beginning_from_an_earlier_try_does_not_stay(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="another file"):
        fetch(server, tmp_path / "file.bin")
    fetch(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_more_than_the_file_has_is_not_stored(server, tmp_path):
    with pytest.raises(DownloadError, match="more than the 500000 bytes"):
        fetch(server, tmp_path / "file.bin", size=500_000)
    assert (tmp_path / "file.bin.part").stat().st_size == 0


def test_less_than_the_file_has_is_no_file(server, tmp_path):
    with pytest.raises(DownloadError, match="has less than 700001 bytes, not 900000"):
        fetch(server, tmp_path / "file.bin", size=900_000)
    assert (tmp_path / "file.bin.part").stat().st_size == 0


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_of_the_server_is_told(server, tmp_path, status):
    server.errors = [status]
    with pytest.raises(DownloadError, match=f"{server.url}: {status} "):
        fetch(server, tmp_path / "file.bin")


def test_nobody_answering_is_told_in_one_line(tmp_path):
    with pytest.raises(DownloadError, match="refused.*the same command tries again") as caught:
        download("http://127.0.0.1:1/nobody", tmp_path / "file.bin", 10, verify)
    assert "\n" not in str(caught.value)


def test_two_processes_do_not_write_the_same_file(server, tmp_path):
    with (tmp_path / ".file.bin.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process works here"):
            fetch(server, tmp_path / "file.bin")


def test_a_silent_server_is_not_waited_for_forever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_OF_SILENCE", 0.05)
    monkeypatch.setattr(server, "finish_request", lambda *_: __import__("time").sleep(0.3))
    with pytest.raises(DownloadError, match="timed out"):
        fetch(server, tmp_path / "file.bin")


def test_only_addresses_of_the_web_are_fetched(tmp_path):
    with pytest.raises(DownloadError, match="only https and http"):
        download(f"file://{tmp_path}", tmp_path / "file.bin", 10, verify)
