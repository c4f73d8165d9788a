"""Libraries as somebody could send them, through every command: nothing bad happens.

Their digests are right: whoever makes a library can make those as well.
"""

import os
import sqlite3
import struct

import pytest

from facehash.library.storage.schema import MIGRATIONS
from facehash.library.storage.store import Store
from tests.library.conftest import alter, draw, save


@pytest.fixture
def library(index, directory):
    index(names="folders", codes="lsh:16")
    return directory


@pytest.fixture
def outside(tmp_path):
    """Files of the victim's that no library has anything to do with."""
    folder = tmp_path / "outside"
    save(folder / "private.png", draw(99, width=80))
    (folder / "notes.txt").write_text("precious")
    (folder / "notes.txt").chmod(0o644)
    (folder / "inner").mkdir()
    (folder / "inner" / "more.txt").write_text("precious too")
    return folder


def all_of(folder):
    """Everything in a folder: names, contents, modes."""
    return {
        path: (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_a_path_in_a_library_brings_no_other_picture_onto_a_page(
    library, outside, every_command, tmp_path
):
    assert set(every_command("search", "strip")[0].values()) == {0}
    honest = (tmp_path / "written" / "page.html").read_text()
    pictures = (tmp_path / "written" / "strip.png").read_bytes()
    alter(library, ("DELETE FROM paths WHERE photo_id > 1",))
    alter(library, ("UPDATE paths SET path = ?", os.fsencode(outside / "private.png")))
    every_command("search", "strip")
    page = (tmp_path / "written" / "page.html").read_text()
    # Of two faces asked for, one hit each has a path now; the query itself is shown as before.
    assert honest.count("<svg") == 2 + 2 * 7 and page.count("<svg") == 2
    assert page.count("the photo is not there any more, or not the same") == 2 * 7
    assert (tmp_path / "written" / "strip.png").read_bytes() != pictures


PATHS = ["/dev/zero", "/dev/stdin", "/proc/self/environ", "/", "", "relative.png", "a\0b.png",
         "../" * 20 + "etc/passwd", "~/.ssh/id_rsa", "\x1b[2J.png", "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_command_is_led_anywhere_by_a_path_in_a_library(library, every_command, outside, path):
    os.mkfifo(outside / "pipe")
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 6", path.encode()))
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 5", os.fsencode(outside / "pipe")))
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 4", os.fsencode(outside)))
    before = all_of(outside)
    _, printed = every_command()
    assert "\x1b" not in printed and all_of(outside) == before


def link_lock(library, outside):
    (library / "lock").unlink()
    (library / "lock").symlink_to(outside / "notes.txt")


def pipe_lock(library, outside):
    (library / "lock").unlink()
    os.mkfifo(library / "lock")


def link_index(library, outside):
    (library / "index").rename(library / "old")
    (library / "index").symlink_to(outside)


def link_log(library, outside):
    (library / "library.db-wal").symlink_to(outside / "notes.txt")


def link_journal(library, outside):
    (library / "library.db-journal").symlink_to(outside / "notes.txt")


def link_database(library, outside):
    (library / "library.db").rename(outside / "theirs.db")
    (library / "library.db").symlink_to(outside / "theirs.db")


@pytest.mark.parametrize(
    "lead", [link_lock, pipe_lock, link_index, link_log, link_journal, link_database]
)
def test_a_link_in_the_place_of_a_file_is_refused_by_name(library, every_command, outside, lead):
    lead(library, outside)
    before = all_of(outside)
    codes, printed = every_command("index", "rebuild", "forget", "name", "search")
    assert all_of(outside) == before
    # A search takes no lock.
    assert [code for name, code in codes.items() if name != "search"] == [2] * 4
    assert "where a library has a f" in printed and f"{library}/" in printed


def test_links_among_the_index_files_are_not_followed(library, every_command, outside):
    index = library / "index"
    codes = next(index.glob("code-[0-9]*"))
    codes.rename(outside / "codes.npy")
    codes.symlink_to(outside / "codes.npy")
    (index / "folder").symlink_to(outside)
    (index / "file").symlink_to(outside / "notes.txt")
    (library / "else").symlink_to(outside / "notes.txt")
    before = all_of(outside)
    codes, _ = every_command("search", "check", "rebuild")
    assert codes == {"search": 2, "check": 3, "rebuild": 0}
    assert all_of(outside) == before and len(list(index.iterdir())) == 5
    assert every_command("search", "check")[0] == {"search": 0, "check": 0}


def test_a_pipe_among_the_index_files_is_not_waited_for(library, every_command):
    sums = next((library / "index").glob("sums-*"))
    sums.unlink()
    os.mkfifo(sums)
    assert every_command("search", "check", "rebuild", "search")[0] == {
        "search": 0, "check": 3, "rebuild": 0
    }  # fmt: skip
    assert every_command("check")[0] == {"check": 0}


def test_a_journal_that_names_a_file_does_not_have_it_deleted(library, every_command, outside):
    with Store.open(library) as store:
        store.database.empty_log()
    page = (library / "library.db").read_bytes()[:4096]
    magic = bytes.fromhex("d9d505f920a163d7")
    name = os.fsencode(outside / "notes.txt")
    sums = sum(page[at] for at in range(4096 - 200, 0, -200)), sum(name)
    journal = magic + struct.pack(">5I", 1, 0, os.path.getsize(library / "library.db") // 4096,
                                  512, 4096)  # fmt: skip
    journal = journal.ljust(512, b"\0") + struct.pack(">I", 1) + page + struct.pack(">I", sums[0])
    journal += struct.pack(">I", 2**30 // 4096 + 1) + name
    (library / "library.db-journal").write_bytes(
        journal + struct.pack(">II", len(name), sums[1]) + magic
    )
    before = all_of(outside)
    codes, printed = every_command("search", "check", "rebuild", "index")
    assert set(codes.values()) == {2} and "names another file" in printed
    assert all_of(outside) == before
    # Which is what SQLite would have done:
    sqlite3.connect(library / "library.db").execute("SELECT * FROM settings").fetchall()
    assert not (outside / "notes.txt").exists()


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TRIGGER evil AFTER INSERT ON paths BEGIN DELETE FROM faces; END"],
        ["CREATE TEMP TABLE x (y)", "CREATE VIEW evil AS SELECT * FROM faces"],
        ["ALTER TABLE people RENAME TO others",
         "CREATE VIEW people AS SELECT id, load_extension('/tmp/x.so') AS name FROM others"],
        ["CREATE VIRTUAL TABLE evil USING fts3(name)"],
        ["DROP TRIGGER face_changed"],
        ["ALTER TABLE faces ADD COLUMN evil AS (x + 1)"],
        ["CREATE INDEX evil ON faces (abs(x))"],
    ],
)  # fmt: skip
def test_tables_triggers_and_views_that_facehash_did_not_make_are_refused(
    library, every_command, statements
):
    connection = sqlite3.connect(library / "library.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    codes, printed = every_command("search", "stats", "index", "name", "rebuild", "check")
    assert codes.pop("check") == 3 and set(codes.values()) == {2}
    assert f"other tables than a library of version {len(MIGRATIONS)}" in printed


def test_a_library_of_a_newer_version_is_refused_politely_by_every_command(library, every_command):
    connection = sqlite3.connect(library / "library.db")
    newest = len(MIGRATIONS)
    connection.execute(f"PRAGMA user_version = {newest + 1}")
    connection.close()
    codes, printed = every_command()
    assert set(codes.values()) == {2}
    told = f"made by a newer facehash (library version {newest + 1}, this one knows {newest})"
    assert printed.count(told) == 14
