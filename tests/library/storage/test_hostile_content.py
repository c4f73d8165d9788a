"""Values that an attacker could store in a library: sizes, types, names and pictures."""

import csv
import io
import json
import re
import tracemalloc

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.library.conftest import alter, few_lean
from tests.library.views.test_html import Page


@pytest.fixture
def library(index, directory):
    index(names="folders", codes="lsh:16")
    return directory


def npy(shape, dtype="<f4"):
    """Return the header of an .npy file of that shape, without its values."""
    file, header = io.BytesIO(), {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(64)


@pytest.fixture
def bounded_memory():
    """Fail a test that needs more memory than a small library."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6  # of which 200 MB are reserved for a photo


def setting(key, value):
    return "UPDATE settings SET value = ? WHERE key = ?", value, key


def hasher(content):
    return "UPDATE hasher SET npy = ? WHERE name = 'mean'", content


@few_lean(
    "statement",
    [
        setting("dimension", "9" * 5000),
        setting("codes", "lsh:1000000000"),
        hasher(npy((2**62, 2**62))),
        setting("dimension", b"12"),
        hasher(npy((12,), "|O")),
        hasher(b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR."),
        ("UPDATE faces SET code = zeroblob(5000000)",),
        ("UPDATE faces SET code = 17",),
        ("UPDATE generation SET number = 'text'",),
        ("UPDATE faces SET width = 9e999",),
        ("UPDATE people SET name = x'ff' WHERE id = 1",),
        ("UPDATE paths SET path = 'text' WHERE photo_id = 1",),
    ],
)
def test_invalid_sizes_and_types_are_errors_in_one_line(
    library, every_command, bounded_memory, statement
):
    alter(library, statement)
    codes, _ = every_command("search", "tables", "people", "stats", "h5", "index", "check")
    assert 2 in codes.values() or codes["check"] == 3


def picture(kind, **options):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, **options)
    return file.getvalue()


@few_lean(
    "crop",
    [picture("EPS"), picture("PNG")[:40], picture("ICO"), b"", b"<svg onload=alert(1)>", "text",
     picture("BMP").replace((8).to_bytes(4, "little"), (30_000).to_bytes(4, "little"))],
)  # fmt: skip
def test_stored_pictures_are_decoded_before_they_are_shown(
    library, every_command, bounded_memory, tmp_path, crop
):
    alter(library, ("UPDATE crops SET jpeg = ?", crop), ("DELETE FROM paths WHERE photo_id > 1",))
    assert set(every_command("search", "strip")[0].values()) == {0}
    page = Page((tmp_path / "written" / "page.html").read_text())
    assert len(page.all("img")) == 2  # those of the query
    assert all(one["src"].startswith("data:image/jpeg;base64,/9j/") for one in page.all("img"))


NAMES = ["<script>alert(1)</script>", "=HYPERLINK(\"http://x\")", "\x1b]0;owned\x07",
         "\"><img src=x onerror=alert(1)>", "-", "@SUM(A1)", "\r=1", "\uff1d1", "$\\frac$", "a\0b",
         "Robert'); DROP TABLE faces;--", "\u202egnp.exe", "x" * 10**5]  # fmt: skip


@few_lean("name", NAMES)
def test_names_are_always_shown_as_text(library, every_command, tmp_path, name):
    alter(library, ("UPDATE people SET name = ? WHERE id = 1", name),
          ("UPDATE settings SET value = 'halves' || ? WHERE key = 'detector_identity'", name),
          ("UPDATE photos SET reason = ? WHERE id = 1", name))  # fmt: skip
    _, printed = every_command("people", "stats", "check", "csv", "json", "h5")
    alter(library, ("UPDATE settings SET value = 'halves' WHERE key = 'detector_identity'",))
    codes, more = every_command("search", "strip", "tables", "forget", "name", "rebuild")
    assert codes["search"] == codes["strip"] == codes["tables"] == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed + more)
    written = tmp_path / "written"
    page = Page((written / "page.html").read_text())
    assert not page.all("script") and not any("onerror" in one for _, one in page.tags)
    assert all(one["src"].startswith("data:") for one in page.all("img"))
    for table in ("hits.csv", "faces.csv"):
        with (written / table).open(newline="") as file:
            shown = {row["name"] for row in csv.DictReader(file)}
        assert shown & {name, f"'{name}"}
        assert not any(one.lstrip()[:1] in tuple("=+-@\uff1d") for one in shown)
    stored = {face["name"] for face in json.loads((written / "faces.json").read_text())["faces"]}
    assert name in stored
    with h5py.File(written / "faces.h5") as file:
        assert name.replace("\0", "\ufffd").encode() in set(file["name"][()])
