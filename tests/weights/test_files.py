import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from facehash.errors import InputError
from facehash.weights import files as module
from facehash.weights.files import WeightsError, add, fetch, find_weights, folders, locate
from facehash.weights.table import WEIGHTS, Weights
from tests.conftest import ROOT
from tests.helpers.face_data import weights_dir
from tests.helpers.file_server import serving

CONTENT = b"weights " * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """Keep every test away from the user's own cache and settings."""
    monkeypatch.delenv("FACEHASH_WEIGHTS", raising=False)
    monkeypatch.setattr(module.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    return tmp_path / "cache" / "weights"


def known(monkeypatch, **changes):
    """Put small weights, named tiny, into the table."""
    values = {"sha256": SHA256, "licence": "MIT", "url": "http://127.0.0.1:1/tiny.bin", **changes}
    entry = Weights(name="tiny", file="tiny.bin", size=len(CONTENT), **values)
    monkeypatch.setitem(WEIGHTS, "tiny", entry)
    return entry


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.bin").write_bytes(content)
    return folder


def test_every_entry_of_the_table_can_be_verified_and_had():
    for name, entry in WEIGHTS.items():
        assert entry.name == name and entry.size > 0 and entry.licence
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256 or "") or entry.md5
        assert (entry.url or "").startswith("https://") or (entry.package and entry.install)


def test_the_files_at_hand_are_those_of_the_table():
    for name in ("yunet", "sface"):
        assert find_weights(name, weights_dir()).sha256 == WEIGHTS[name].sha256


def test_what_keras_publishes_of_its_weights_is_what_we_have():
    # Read, since importing Keras takes seconds.
    folder = Path(importlib.util.find_spec("keras").origin).parent / "src" / "applications"
    for name, source in [("resnet50", "resnet.py"), ("vgg16", "vgg16.py")]:
        text, entry = (folder / source).read_text(), WEIGHTS[name]
        assert f'"{entry.md5}"' in text
        assert entry.url.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
        assert entry.file.removeprefix(name) in text.replace("{weights_name}", "")


def test_missing_weights_name_the_command_that_brings_them():
    with pytest.raises(WeightsError, match="get them with: facehash weights fetch sface") as caught:
        find_weights("sface")
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_refused():
    with pytest.raises(WeightsError, match="'sfac' are unknown .did you mean 'sface'"):
        find_weights("sfac")


def test_the_named_folder_wins_over_the_environment_and_that_over_the_cache(
    monkeypatch, tmp_path, cache
):
    entry = known(monkeypatch)
    put(cache)
    assert locate(entry).parent == cache
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(put(tmp_path / "environment")))
    assert locate(entry).parent == tmp_path / "environment"
    assert locate(entry, put(tmp_path / "named")).parent == tmp_path / "named"
    # A folder without the file does not hide one that has it.
    assert locate(entry, tmp_path / "named" / "empty").parent == tmp_path / "environment"


def test_a_file_named_as_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="expected a folder of weights, found a file"):
        folders(tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "what"),
    [(CONTENT[:-1], "has 39999 bytes, not 40000"), (CONTENT[::-1], "its SHA-256 is")],
)
def test_every_load_verifies_and_says_how_to_replace(monkeypatch, tmp_path, content, what):
    known(monkeypatch)
    folder = put(tmp_path, content)
    with pytest.raises(WeightsError, match=f"not the weights 'tiny': {what}") as caught:
        find_weights("tiny", folder)
    assert str(caught.value).endswith("delete it, then: facehash weights fetch tiny")


def test_without_a_sha256_the_published_md5_is_verified(monkeypatch, tmp_path):
    known(monkeypatch, sha256=None, md5=MD5)
    assert find_weights("tiny", put(tmp_path)).sha256 == SHA256
    with pytest.raises(WeightsError, match="its MD5 is"):
        find_weights("tiny", put(tmp_path, CONTENT[::-1]))


def test_adding_pins_the_sha256_that_nobody_published(monkeypatch, tmp_path, cache):
    known(monkeypatch, sha256=None, md5=MD5)
    (tmp_path / "download.h5").write_bytes(CONTENT)
    added = add(tmp_path / "download.h5")
    assert added.path == cache / "tiny.bin" and added.sha256 == SHA256
    pin = cache / "tiny.bin.sha256"
    assert pin.read_text() == f"{SHA256}  tiny.bin\n"
    # From now on it holds, even against a file of the right MD5.
    pin.write_text("0" * 64 + "  tiny.bin\n")
    with pytest.raises(WeightsError, match="its SHA-256 is"):
        find_weights("tiny")


def test_a_known_file_is_added_under_any_name(monkeypatch, tmp_path, cache):
    known(monkeypatch)
    (tmp_path / "whatever").write_bytes(CONTENT)
    add(tmp_path / "whatever")
    assert find_weights("tiny").path == cache / "tiny.bin"
    assert [path.name for path in cache.iterdir()] == ["tiny.bin"]
    add(cache / "tiny.bin")
    assert find_weights("tiny").path == cache / "tiny.bin"


def test_what_is_no_known_weights_is_not_added(monkeypatch, tmp_path, cache):
    known(monkeypatch)
    (tmp_path / "mine.keras").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"none of the known weights .* has 4 bytes.*keras:"):
        add(tmp_path / "mine.keras")
    with pytest.raises(WeightsError, match="not the weights 'tiny'"):
        add(put(tmp_path / "wrong", CONTENT[::-1]) / "tiny.bin")
    with pytest.raises(WeightsError, match="no such file"):
        add(tmp_path / "gone")
    assert not cache.exists()


@pytest.fixture
def server(monkeypatch):
    """A server of the weights named tiny."""
    with serving(CONTENT) as running:
        known(monkeypatch, url=running.url)
        yield running


def test_fetching_downloads_once_and_leaves_one_verified_file(server, tmp_path, cache):
    assert fetch("tiny").path == cache / "tiny.bin"
    assert find_weights("tiny").sha256 == SHA256
    fetch("tiny")
    assert server.requests == 1
    assert fetch("tiny", tmp_path / "named").path == tmp_path / "named" / "tiny.bin"
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["tiny.bin"]
    # Weights in a shared folder must be readable by others, as any new file is.
    (tmp_path / "new").touch()
    assert (cache / "tiny.bin").stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize(
    ("content", "digests", "reason"),
    [
        (CONTENT[::-1], {}, "its SHA-256 is .*, not"),
        (CONTENT[::-1], {"sha256": None, "md5": MD5}, "its MD5 is .*, not"),
        (CONTENT[:-1], {}, "has 39999 bytes, not 40000"),
        (CONTENT + b"!", {}, "has 40001 bytes, not 40000"),
    ],
)
def test_a_wrong_file_never_takes_the_name_and_is_deleted(
    monkeypatch, server, cache, content, digests, reason
):
    server.content = content
    known(monkeypatch, url=server.url, **digests)
    message = rf"{server.url} \(downloaded and deleted\): not the weights 'tiny': {reason}"
    assert re.match(message, refused_fetch())
    assert list(cache.iterdir()) == []


def refused_fetch():
    with pytest.raises(InputError) as caught:
        fetch("tiny")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_broken_download_leaves_nothing_and_the_next_one_succeeds(server, cache):
    server.cut = 30_000
    assert "no connection to the server, or it broke" in refused_fetch()
    assert list(cache.iterdir()) == []
    assert fetch("tiny").sha256 == SHA256


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_http_error_is_reported_with_its_code(server, status):
    server.status = status
    assert refused_fetch().startswith(f"{server.url}: the server answered {status} ")


def test_no_server_is_reported_in_one_line(monkeypatch):
    known(monkeypatch)
    message = refused_fetch()
    assert message.startswith("http://127.0.0.1:1/tiny.bin: no connection to the server")
    assert message.endswith("(ConnectionError); run the same command to try again")


def test_a_silent_server_is_not_waited_for_forever(server, monkeypatch):
    server.silence = 0.4
    monkeypatch.setattr(module, "_TIMEOUT", 0.05)
    assert "Timeout" in refused_fetch()


def test_a_damaged_file_in_the_target_folder_is_reported_and_not_replaced(server, cache):
    put(cache, CONTENT[:-1])
    assert refused_fetch().endswith("delete it, then: facehash weights fetch tiny")
    assert server.requests == 0


def test_what_comes_in_a_package_is_found_there_without_importing_it(monkeypatch, tmp_path):
    known(monkeypatch, url=None, package=("weights_by_pip", "files"), install="pip install tiny")
    with pytest.raises(WeightsError, match="get them with: pip install tiny"):
        find_weights("tiny")
    put(tmp_path / "weights_by_pip" / "files")
    (tmp_path / "weights_by_pip" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_weights("tiny").path.parent == tmp_path / "weights_by_pip" / "files"
    with pytest.raises(WeightsError, match="are part of a package: pip install tiny"):
        fetch("tiny")


def test_importing_weights_touches_no_network_and_no_heavy_package():
    script = "import sys, json, facehash.weights.files; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"cv2", "keras", "numpy", "PIL", "pooch", "requests"} & set(json.loads(done.stdout))
