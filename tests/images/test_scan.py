import contextlib
import errno
import os

import pytest

from facehash.errors import InputError
from facehash.files import FileState
from facehash.images.scan import UNKNOWN_STATE, scan
from facehash.images.selection import Selection, parse_patterns
from tests.helpers.privileges import ordinary_rights


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.jpg", "a/deep/x.PNG", "a/note.txt", ".hidden/y.png", "a/.z.png", "lib/c.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return folder


def names(found, folder):
    return [str(path.relative_to(folder)) for path in found.files]


def test_pictures_are_found_at_any_depth_sorted_by_name(folder):
    found = scan(folder)
    assert names(found, folder) == ["a/deep/x.PNG", "b.jpg", "lib/c.png"]
    stat = (folder / "b.jpg").stat()
    assert found.files[folder / "b.jpg"] == FileState(5, stat.st_mtime_ns)
    assert names(scan(folder, without=folder / "lib"), folder) == ["a/deep/x.PNG", "b.jpg"]


def test_links_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").touch()
    (folder / "out").symlink_to(outside)
    (folder / "out.png").symlink_to(outside / "secret.png")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "note").symlink_to("a/note.txt")
    found = scan(folder)
    assert names(found, folder) == ["a/deep/x.PNG", "b.jpg", "lib/c.png"]
    assert [path.name for path in found.links] == ["circle", "itself.png", "out", "out.png"]


def test_pipes_and_names_that_are_not_text_are_listed(folder, tmp_path):
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    assert names(scan(folder), folder)[-1] == "pipe.jpg"
    (tmp_path / "link").symlink_to(folder)
    assert names(scan(tmp_path / "link"), folder) == names(scan(folder), folder)
    path = folder / os.fsdecode(b"caf\xe9.jpg")
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has text only")
    assert path in scan(folder).files


def test_a_folder_that_cannot_be_listed_is_reported(folder):
    (folder / "a").chmod(0)
    try:
        with ordinary_rights():
            assert scan(folder).closed == [folder / "a"]
    finally:
        (folder / "a").chmod(0o700)


def test_a_file_or_a_missing_folder_is_refused(folder):
    with pytest.raises(InputError, match="is a file; a folder of photos is expected"):
        scan(folder / "b.jpg")
    with pytest.raises(InputError, match="no such folder .did you mean 'photos'"):
        scan(folder.with_name("photo"))


class _Refusing:
    """An entry of a folder about which the operating system refuses to tell anything more."""

    def __init__(self, entry, refused):
        self._entry, self._refused = entry, refused
        self.name, self.path = entry.name, entry.path

    def __getattr__(self, method):
        def call(**options):
            if method == self._refused:
                raise OSError(errno.ESTALE, "Stale file handle", self.path)
            return getattr(self._entry, method)(**options)

        return call


def refuse(monkeypatch, names, method):
    """Let a method of these entries fail, as on a network drive whose listing has no types."""
    real = os.scandir

    @contextlib.contextmanager
    def scandir(path):
        with real(path) as entries:
            yield [_Refusing(one, method if one.name in names else None) for one in entries]

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("method", ["is_symlink", "is_dir", "is_file", "stat"])
def test_an_error_about_one_entry_stops_nothing(folder, monkeypatch, method):
    refuse(monkeypatch, ("b.jpg", "deep"), method)
    found = scan(folder)
    if method in ("is_symlink", "is_dir"):  # whether it is a folder remains unknown
        assert names(found, folder) == ["b.jpg", "lib/c.png"]
        assert found.closed == [folder / "a" / "deep"]
    else:
        assert names(found, folder) == ["a/deep/x.PNG", "b.jpg", "lib/c.png"]
    assert found.files[folder / "b.jpg"] == UNKNOWN_STATE
    assert found.files[folder / "lib" / "c.png"].size == 5


def test_files_in_a_folder_that_denies_stat_are_listed_as_unknown(folder):
    (folder / "a").chmod(0o444)
    try:
        with ordinary_rights():
            found = scan(folder)
    finally:
        (folder / "a").chmod(0o700)
    # The listing itself tells that deep is a folder; it cannot be listed.
    assert names(found, folder) == ["b.jpg", "lib/c.png"]
    assert found.closed == [folder / "a" / "deep"]


def test_a_parent_that_cannot_be_listed_is_no_other_error(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p").chmod(0o111)
    try:
        with ordinary_rights(), pytest.raises(InputError, match="no such folder; a folder of"):
            scan(tmp_path / "p" / "photo")
    finally:
        (tmp_path / "p").chmod(0o700)


CLUTTER = (
    "@eaDir/b.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/b.jpg", "$RECYCLE.BIN/b.jpg",
    "$Recycle.Bin/S-1/b.jpg", ".thumbnails/b.jpg", ".Trash-1000/files/b.jpg", "lost+found/b.jpg",
    "x/Catalog Previews.lrdata/0/b.jpg", "P.photoslibrary/resources/derivatives/b.jpg",
    "__MACOSX/b.jpg", "System Volume Information/b.jpg", "@Recycle/b.jpg",
)  # fmt: skip


def add(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"12345")


def test_folders_of_previews_and_deleted_files_are_skipped_and_counted(folder):
    originals = ("P.photoslibrary/originals/1/o.jpg", "resources/o.jpg", "eaDir/o.jpg")
    add(folder, *CLUTTER, *originals)
    found = scan(folder)
    assert names(found, folder) == sorted([*originals, "a/deep/x.PNG", "b.jpg", "lib/c.png"])
    assert str(found.passed_over) == (
        "1 file without the ending of a picture (1 .txt), 10 folders of previews or deleted "
        "files, 4 hidden files or folders"
    )
    assert folder / "@eaDir" in found.skipped and len(found.skipped) == 14
    (folder / "._b.jpg").touch()  # never a picture
    every = scan(folder, selection=Selection(include_skipped=True))
    hidden = [".hidden/y.png", "a/.z.png"]
    assert set(names(every, folder)) == {*CLUTTER, *hidden, *names(found, folder)}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*.png"], ["b.jpg"]),
        (["A"], ["b.jpg", "lib/c.png"]),
        (["a/deep/"], ["b.jpg", "lib/c.png"]),
        (["./a/*.png", "b.*"], ["lib/c.png"]),
        (["deep/x.png"], ["a/deep/x.PNG", "b.jpg", "lib/c.png"]),
        (["[bc].???"], ["a/deep/x.PNG"]),
    ],
)
def test_excluded_files_and_folders_are_not_listed(folder, patterns, left):
    found = scan(folder, selection=Selection(tuple(patterns)))
    assert names(found, folder) == left
    assert all(folder in path.parents for path in found.skipped)


def test_letters_with_accents_compare_however_they_are_stored():
    assert Selection(("caf\N{LATIN SMALL LETTER E WITH ACUTE}*",)).excludes("Cafe\u0301 1.jpg", "-")


@pytest.mark.parametrize("pattern", ["*", "**/*", "a\nb", "."])
def test_patterns_that_mean_everything_or_several_lines_are_refused(pattern):
    with pytest.raises(InputError, match="--exclude"):
        parse_patterns([pattern])


def test_a_scan_asks_for_the_state_of_pictures_only(folder, monkeypatch):
    asked = []

    class Counting(_Refusing):
        def __getattr__(self, method):
            asked.append((self.name, method))
            return super().__getattr__(method)

    monkeypatch.setattr(f"{__name__}._Refusing", Counting)
    refuse(monkeypatch, (), None)
    scan(folder)
    assert sorted(name for name, method in asked if method == "stat") == ["b.jpg", "c.png", "x.PNG"]
