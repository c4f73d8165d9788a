import hashlib
import importlib.util
import re
from pathlib import Path

import pytest

from facehash.errors import InputError
from facehash.weights import files as module
from facehash.weights.files import add, fetch, find_weights, folders, locate
from facehash.weights.table import WEIGHTS, Weights
from tests.helpers.file_server import serving

CONTENT = b"weights " * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
REMEDY = "delete it, then: facehash weights fetch tiny"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """Keep every test away from the user's own cache and settings."""
    monkeypatch.delenv("FACEHASH_WEIGHTS", raising=False)
    monkeypatch.setattr(module.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    return tmp_path / "cache" / "weights"


def known(monkeypatch, **changes):
    """Add small weights, named tiny, to the table."""
    values = {"sha256": SHA256, "licence": "MIT", "url": "http://127.0.0.1:1/tiny.bin", **changes}
    entry = Weights(name="tiny", file="tiny.bin", size=len(CONTENT), **values)
    monkeypatch.setitem(WEIGHTS, "tiny", entry)
    return entry


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.bin").write_bytes(content)
    return folder


def refusal(function, *arguments):
    """Return the error message, which must be one line."""
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_entry_of_the_table_can_be_verified_and_installed():
    for name, entry in WEIGHTS.items():
        assert entry.name == name and entry.size > 0 and entry.licence
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256 or "") or entry.md5
        assert (entry.url or "").startswith("https://") or (entry.package and entry.install)


def test_digests_of_keras_weights_are_those_that_keras_publishes():
    # Read as text, since importing Keras takes seconds.
    folder = Path(importlib.util.find_spec("keras").origin).parent / "src" / "applications"
    for name, source in [("resnet50", "resnet.py"), ("vgg16", "vgg16.py")]:
        text, entry = (folder / source).read_text(), WEIGHTS[name]
        assert f'"{entry.md5}"' in text
        assert entry.url.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
        assert entry.file.removeprefix(name) in text.replace("{weights_name}", "")


def test_missing_and_unknown_weights_and_wrong_folders_are_refused(tmp_path):
    assert refusal(find_weights, "sface").endswith("get them with: facehash weights fetch sface")
    assert "'sfac' are unknown (did you mean 'sface'?)" in refusal(find_weights, "sfac")
    (tmp_path / "file").touch()
    assert "expected a folder of weights, found a file" in refusal(folders, tmp_path / "file")


def test_the_given_folder_precedes_the_environment_and_the_cache(monkeypatch, tmp_path, cache):
    entry = known(monkeypatch)
    put(cache)
    assert locate(entry).parent == cache
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(put(tmp_path / "environment")))
    assert locate(entry).parent == tmp_path / "environment"
    assert locate(entry, put(tmp_path / "named")).parent == tmp_path / "named"
    # A folder without the file does not hide one that has it.
    assert locate(entry, tmp_path / "named" / "empty").parent == tmp_path / "environment"


WRONG = pytest.mark.parametrize(
    ("content", "digests", "reason"),
    [
        (CONTENT[::-1], {}, "its SHA-256 is .*, not"),
        (CONTENT[::-1], {"sha256": None, "md5": MD5}, "its MD5 is .*, not"),
        (CONTENT[:-1], {}, "has 39999 bytes, not 40000"),
    ],
)


@WRONG
def test_every_load_verifies_and_names_the_remedy(monkeypatch, tmp_path, content, digests, reason):
    known(monkeypatch, **digests)
    assert find_weights("tiny", put(tmp_path)).sha256 == SHA256
    message = refusal(find_weights, "tiny", put(tmp_path, content))
    assert re.search(f"not the weights 'tiny': {reason}", message) and message.endswith(REMEDY)


def test_adding_pins_the_sha256_if_none_is_published(monkeypatch, tmp_path, cache):
    known(monkeypatch, sha256=None, md5=MD5)
    (tmp_path / "download.h5").write_bytes(CONTENT)
    added = add(tmp_path / "download.h5")
    assert added.path == cache / "tiny.bin" and added.sha256 == SHA256
    pin = cache / "tiny.bin.sha256"
    assert pin.read_text() == f"{SHA256}  tiny.bin\n"
    # From now on it is required, even of a file with the right MD5.
    pin.write_text("0" * 64 + "  tiny.bin\n")
    assert "its SHA-256 is" in refusal(find_weights, "tiny")


def test_a_known_file_is_added_under_any_name(monkeypatch, tmp_path, cache):
    known(monkeypatch)
    (tmp_path / "other name").write_bytes(CONTENT)
    for source in (tmp_path / "other name", cache / "tiny.bin"):
        add(source)
        assert find_weights("tiny").path == cache / "tiny.bin"
        assert [path.name for path in cache.iterdir()] == ["tiny.bin"]


def test_other_files_are_not_added(monkeypatch, tmp_path, cache):
    known(monkeypatch)
    (tmp_path / "mine.keras").write_bytes(b"mine")
    message = refusal(add, tmp_path / "mine.keras")
    assert re.search(r"none of the known weights .* has 4 bytes.*keras:", message)
    wrong = put(tmp_path / "wrong", CONTENT[::-1]) / "tiny.bin"
    assert "not the weights 'tiny'" in refusal(add, wrong)
    assert "no such file" in refusal(add, tmp_path / "gone")
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
    # Weights in a shared folder must be readable by others, like any new file.
    (tmp_path / "new").touch()
    assert (cache / "tiny.bin").stat().st_mode == (tmp_path / "new").stat().st_mode


@WRONG
def test_a_wrong_download_is_deleted(monkeypatch, server, cache, content, digests, reason):
    server.content = content
    known(monkeypatch, url=server.url, **digests)
    wrong = rf"{server.url} \(downloaded and deleted\): not the weights 'tiny': {reason}"
    assert re.match(wrong, refusal(fetch, "tiny"))
    assert list(cache.iterdir()) == []


def test_a_broken_download_leaves_nothing_and_the_next_one_succeeds(server, cache):
    server.cut = 30_000
    message = refusal(fetch, "tiny")
    assert message.startswith(f"{server.url}: no connection to the server, or it broke")
    assert message.endswith("run the same command to try again")
    assert list(cache.iterdir()) == []
    assert fetch("tiny").sha256 == SHA256


def test_http_errors_are_reported_with_their_code(server):
    server.status = 404
    assert refusal(fetch, "tiny").startswith(f"{server.url}: the server answered 404 ")


def test_weights_in_a_package_are_found_without_importing_it(monkeypatch, tmp_path):
    known(monkeypatch, url=None, package=("weights_by_pip", "files"), install="pip install tiny")
    assert refusal(find_weights, "tiny").endswith("get them with: pip install tiny")
    put(tmp_path / "weights_by_pip" / "files")
    (tmp_path / "weights_by_pip" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_weights("tiny").path.parent == tmp_path / "weights_by_pip" / "files"
    assert refusal(fetch, "tiny").endswith("are part of a package: pip install tiny")
