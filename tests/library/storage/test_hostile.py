"""Libraries made by an attacker, in every command: no file outside is read, changed or removed."""

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
    """Files of the victim that belong to no library."""
    folder = tmp_path / "outside"
    save(folder / "private.png", draw(99, width=80))
    (folder / "notes.txt").write_text("precious")
    (folder / "notes.txt").chmod(0o644)
    (folder / "inner").mkdir()
    (folder / "inner" / "more.txt").write_text("precious too")
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
    assert page.count("the photo is not there any more, or not the same") == 2 * 7
    assert (tmp_path / "written" / "strip.png").read_bytes() != pictures


PATHS = ["/dev/zero", "/dev/stdin", "/proc/self/environ", "/", "", "relative.png", "a\0b.png",
         "../" * 20 + "etc/passwd", "~/.ssh/id_rsa", "\x1b[2J.png", "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_command_changes_the_target_of_a_stored_path(library, every_command, outside, path):
    os.mkfifo(outside / "pipe")
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 6", path.encode()))
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 5", os.fsencode(outside / "pipe")))
    alter(library, ("UPDATE paths SET path = ? WHERE photo_id = 4", os.fsencode(outside)))
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
        ("library.db-journal", "notes.txt"),
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


def test_links_among_index_files_are_not_followed(library, every_command, outside):
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
    assert all_of(outside) == before and len(list(index.iterdir())) == 4
    assert every_command("search", "check")[0] == {"search": 0, "check": 0}


def test_no_command_waits_for_a_pipe_among_index_files(library, every_command):
    [path] = (library / "index").glob("code-[0-9]*")
    path.unlink()
    os.mkfifo(path)
    assert every_command("search", "check", "rebuild", "search")[0] == {
        "search": 0, "check": 3, "rebuild": 0
    }  # fmt: skip
    assert every_command("check")[0] == {"check": 0}


def test_a_journal_never_deletes_the_file_that_it_names(library, every_command, outside):
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
    # SQLite alone would have deleted it:
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
def test_foreign_tables_triggers_and_views_are_an_error(library, every_command, statements):
    connection = sqlite3.connect(library / "library.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    codes, printed = every_command("search", "stats", "index", "name", "rebuild", "check")
    assert codes.pop("check") == 3 and set(codes.values()) == {2}
    assert f"are not those of a library of version {len(MIGRATIONS)}" in printed


def test_every_command_refuses_a_library_of_a_newer_version(library, every_command):
    connection = sqlite3.connect(library / "library.db")
    newest = len(MIGRATIONS)
    connection.execute(f"PRAGMA user_version = {newest + 1}")
    connection.close()
    codes, printed = every_command()
    assert set(codes.values()) == {2}
    message = f"made by a newer facehash (library version {newest + 1}, this one knows {newest})"
    assert printed.count(message) == 14
