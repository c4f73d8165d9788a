"""Libraries made by an attacker, in every command: no file outside is read, changed or removed."""

import os
import sqlite3
import struct

import pytest

from facehash.library.storage.schema import MIGRATIONS
from facehash.library.storage.store import Store
from tests.library.conftest import alter, draw, few_lean, save


@pytest.fixture
def library(index, directory):
    index(names="folders", codes="lsh:16")
    return directory


@pytest.fixture
def outside(tmp_path):
    """Files of the victim that belong to no library."""
    folder = tmp_path / "outside"
    save(folder / "private.png", draw(99, width=80))
    (folder / "notes.txt").write_text("precious")
    (folder / "notes.txt").chmod(0o644)
    return folder


def all_of(folder):
    """Return names, contents and modes of everything in a folder."""
    return {
        path: (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_a_stored_path_never_adds_another_picture_to_a_page(
    library, outside, every_command, tmp_path
):
    assert set(every_command("search", "strip")[0].values()) == {0}
    honest = (tmp_path / "written" / "page.html").read_text()
    pictures = (tmp_path / "written" / "strip.png").read_bytes()
    alter(library, ("DELETE FROM paths WHERE photo_id > 1",))
    alter(library, ("UPDATE paths SET path = ?", os.fsencode(outside / "private.png")))
    every_command("search", "strip")
    page = (tmp_path / "written" / "page.html").read_text()
    # Each of the two query faces has one hit with a path now; the query is still shown.
    assert honest.count("<svg") == 2 + 2 * 7 and page.count("<svg") == 2
    assert page.count("This photo is missing or has changed since it was indexed.") == 2 * 7
    assert (tmp_path / "written" / "strip.png").read_bytes() != pictures


PATHS = ["/dev/zero", "/dev/stdin", "", "a\0b.png", "../" * 20 + "etc/passwd", "\x1b[2J.png"]


@few_lean("path", PATHS)
def test_no_command_changes_the_target_of_a_stored_path(library, every_command, outside, path):
    os.mkfifo(outside / "pipe")
    stored = (path.encode(), os.fsencode(outside / "pipe"), os.fsencode(outside))
    for photo, content in enumerate(stored, start=4):
        alter(library, (f"UPDATE paths SET path = ? WHERE photo_id = {photo}", content))
    before = all_of(outside)
    _, printed = every_command()
    assert "\x1b" not in printed and all_of(outside) == before


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("lock", "notes.txt"),
        ("lock", None),  # a pipe
        ("index", "."),
        ("library.db-wal", "notes.txt"),
        ("library.db", "theirs.db"),
    ],
)
def test_a_link_or_pipe_in_place_of_a_file_is_an_error(
    library, every_command, outside, name, target
):
    path = library / name
    if path.exists():
        path.rename(outside / "theirs.db" if name == "library.db" else library / "old")
    if target is None:
        os.mkfifo(path)
    else:
        path.symlink_to(outside / target)
    before = all_of(outside)
    codes, printed = every_command("index", "rebuild", "forget", "name", "search")
    assert all_of(outside) == before
    codes.pop("search")  # it takes no lock
    assert set(codes.values()) == {2} and f"{path}: " in printed
    assert "where a library has a f" in printed


@pytest.mark.parametrize("pipe", [False, True])
def test_links_and_pipes_among_index_files_are_not_opened(library, every_command, outside, pipe):
    index = library / "index"
    [codes] = index.glob("code-[0-9]*")
    codes.rename(outside / "codes.npy")
    os.mkfifo(codes) if pipe else codes.symlink_to(outside / "codes.npy")
    (index / "folder").symlink_to(outside)
    (index / "file").symlink_to(outside / "notes.txt")
    (library / "else").symlink_to(outside / "notes.txt")
    before = all_of(outside)
    codes, _ = every_command("search", "check", "rebuild")
    assert codes == {"search": 2, "check": 3, "rebuild": 0}
    assert all_of(outside) == before and len(list(index.iterdir())) == 5
    assert every_command("search", "check")[0] == {"search": 0, "check": 0}


def test_a_journal_never_deletes_the_file_that_it_names(library, every_command, outside):
    with Store.open(library) as store:
        store.database.empty_log()
    page = (library / "library.db").read_bytes()[:4096]
    magic = bytes.fromhex("d9d505f920a163d7")
    name = os.fsencode(outside / "notes.txt")
    sums = sum(page[at] for at in range(4096 - 200, 0, -200)), sum(name)
    pages = os.path.getsize(library / "library.db") // 4096
    journal = (magic + struct.pack(">5I", 1, 0, pages, 512, 4096)).ljust(512, b"\0")
    journal += struct.pack(">I", 1) + page + struct.pack(">I", sums[0])
    journal += struct.pack(">I", 2**30 // 4096 + 1) + name
    journal += struct.pack(">II", len(name), sums[1]) + magic
    (library / "library.db-journal").write_bytes(journal)
    before = all_of(outside)
    codes, printed = every_command("search", "check", "rebuild", "index")
    assert set(codes.values()) == {2} and "names another file" in printed
    assert all_of(outside) == before
    # SQLite alone would have deleted it:
    sqlite3.connect(library / "library.db").execute("SELECT * FROM settings").fetchall()
    assert not (outside / "notes.txt").exists()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("CREATE TRIGGER evil AFTER INSERT ON paths BEGIN DELETE FROM faces; END", None),
        ("ALTER TABLE people RENAME TO others; CREATE VIEW people AS "
         "SELECT id, load_extension('/tmp/x.so') AS name FROM others", None),
        ("DROP TRIGGER face_changed", None),
        ("CREATE INDEX evil ON faces (abs(x))", None),
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "made by a newer facehash (library ver"),
    ],
)  # fmt: skip
def test_a_foreign_schema_or_version_is_an_error_in_every_command(
    library, every_command, statements, message
):
    sqlite3.connect(library / "library.db").executescript(statements)
    codes, printed = every_command("search", "stats", "index", "name", "rebuild", "check")
    # Only a damaged library is a result of check, not an error.
    assert codes.pop("check") == (2 if message else 3) and set(codes.values()) == {2}
    message = message or f"are not those of a library of version {len(MIGRATIONS)}"
    assert printed.count(message) == 6
