import unicodedata

import pytest

from facehash.errors import InputError
from facehash.library.people.edit import name_faces
from facehash.library.people.sources.folders import name_of_folder
from facehash.library.people.sources.lists import match_paths, read_list
from facehash.library.storage.store import Store
from facehash.library.upkeep.export import export
from tests.library.conftest import NAMED, draw, save


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "names.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def csv(write):
    """Write a list of path,name,face lines, and return the value of --names."""
    return lambda *lines: f"csv:{write(chr(10).join(('path,name,face', *lines, '')))}"


def outcome(names):
    return names.named, names.renamed, names.unnamed, names.unchanged, names.kept


def test_a_folder_names_the_largest_face_of_each_photo_in_it(index, photos, ask):
    (photos / "party.png").rename(photos / "Cy" / "party.png")
    index(names="folders")
    assert ask(NAMED) == [("Ann", 1), ("Ann", 1), ("Bo", 1), ("Cy", 1), ("Cy", 1), ("Cy", 1)]
    assert ask("SELECT number FROM faces WHERE person_id IS NULL") == [(2,)]


def test_a_photo_that_moved_gets_the_name_of_its_new_folder_if_there_is_one(index, photos, ask):
    index(names="folders")
    (photos / "Ann" / "0.png").rename(photos / "Bo" / "1.png")
    (photos / "Cy" / "0.png").rename(photos / "0.png")
    report = index(names="folders")
    assert (report.names.renamed, report.names.unnamed, report.named) == (1, 1, 2)
    assert ask(NAMED) == [("Ann", 1), ("Bo", 1), ("Bo", 1), ("Cy", 1)]


def test_the_level_below_the_indexed_folder_counts_or_another_one(index, photos, ask):
    save(photos / "Ann" / "2020" / "sea" / "2.png", draw(30))
    index(names="folders")
    assert ask(NAMED).count(("Ann", 1)) == 3
    assert index(names="folders:parent").names.renamed == 1
    assert ("sea", 1) in ask(NAMED)
    assert index(names="folders:2").names.unnamed == 5
    assert ask(NAMED) == [("2020", 1)]
    for level in ("0", "x", "", "1" * 99):
        with pytest.raises(InputError, match=f"--names folders:{level}: give the level"):
            index(names=f"folders:{level}")
    assert name_of_folder(photos / "x.png", photos, None) is None


def test_a_photo_in_the_folders_of_two_people_names_nobody(index, photos, ask):
    index(names="folders")
    copy = photos / "Bo" / "copy.png"
    copy.write_bytes((photos / "Ann" / "0.png").read_bytes())
    report = index(names="folders")
    assert report.names.contradicted == (photos / "Ann" / "0.png",)
    assert (report.names.unnamed, ask(NAMED).count(("Ann", 1))) == (1, 1)
    # Two folders of one person do not contradict each other.
    copy.rename(photos / "Ann" / "copy.png")
    report = index(names="folders")
    assert report.names.contradicted == () and ask(NAMED).count(("Ann", 1)) == 2


def test_a_list_can_name_any_face(index, csv, ask, photos):
    report = index(names=csv("party.png,Dora,2", "party.png,Emil,", "Ann/0.png,Ann,1", "no.png,X,"))
    assert (report.names.named, report.names.unmatched) == (3, (photos / "no.png",))
    assert ask(NAMED) == [("Ann", 1), ("Dora", 2), ("Emil", 1)]


def test_a_second_list_adds_and_replaces_only_on_request(index, csv, ask, directory):
    index(names="folders")
    first = index(names=csv("party.png,Dora,2", "Bo/0.png,Bob,1", "Cy/0.png,Cy,1"))
    assert outcome(first.names) == (1, 1, 0, 1, 0)
    with Store.open(directory) as store:
        [face] = [one.id for one in store.faces() if one.path.match("Ann/0.png")]
        name_faces(store, "Anna", [face])
    second = csv("party.png,Emil,1", "Bo/0.png,Bobby,1", "Ann/0.png,X,1", "Cy/0.png,Cy,")
    assert outcome(index(names=second).names) == (1, 0, 0, 1, 2)
    names = [("Ann", 1), ("Anna", 1), ("Bob", 1), ("Cy", 1), ("Cy", 1), ("Dora", 2), ("Emil", 1)]
    assert ask(NAMED) == names
    # Names by hand and of folders stay.
    assert outcome(index(names=second, replace_names=True).names) == (0, 1, 1, 2, 1)
    names = [("Ann", 1), ("Anna", 1), ("Bobby", 1), ("Cy", 1), ("Cy", 1), ("Emil", 1)]
    assert ask(NAMED) == names
    # A folder does not overwrite a list.
    assert index(names="folders").named == 0 and ask(NAMED) == names
    with pytest.raises(InputError, match="--replace-names needs names of a list or a program"):
        index(names="folders", replace_names=True)


def test_a_list_that_matches_nothing_is_an_error_before_any_photo_is_read(
    index, write, photos, directory, ask
):
    file = write("path,name\nx/party.png,Dora\n")
    message = f"none of its paths is a photo .* relative to {photos}, so the first one means .*/x/p"
    with pytest.raises(InputError, match=message):
        index(names=f"csv:{file}")
    assert ask("SELECT count(*) FROM photos") == [(0,)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Path;NAME ;face\nparty.png;Jörg;2\n", "utf-8"),
        ("\ufeffpath\tname\tface\r\nparty.png\tJörg\t2\r\n\r\n", "utf-16-le"),
        ("\ufeffface,name,path\n2,Jörg,party.png\n,,\n1,,party.png\n", "utf-16-be"),
        ('\ufeff"path";"name";"face"\n"party.png";"Jörg";"2"\n', "utf-8"),
    ],
)
def test_lists_of_spreadsheets_are_read(write, tmp_path, text, encoding):
    listed = read_list(write(text, encoding), tmp_path)
    assert listed.names == {(tmp_path / "party.png", 2): "Jörg"}


def test_paths_compare_after_links_and_unicode_forms(tmp_path):
    real = save(tmp_path / "real" / "J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg.png", draw(1))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "photo.png").symlink_to(real)
    apart = unicodedata.normalize("NFD", real.name)
    known = {real, tmp_path / "real" / "other.png"}
    for path in (real, real.with_name(apart), tmp_path / "link" / apart, tmp_path / "photo.png"):
        assert match_paths([path], known) == {path: real}
    assert match_paths([tmp_path / "none.png"], known) == {}
    # Both forms may exist; then each means itself.
    known |= {real.with_name(apart)}
    assert match_paths(known, known) == {path: path for path in known}
    assert match_paths([tmp_path / "link" / apart], known) == {}


def test_what_export_writes_can_be_read_again(index, directory, photos, tmp_path, ask):
    for number, name in enumerate(("=1+1", "'t Hooft", "'=x", "@home", "Jörg", "Ann, Bea")):
        save(photos / f"{number}.png", draw(100 + number))
        index()
        with Store.open(directory) as store:
            [face] = [one.id for one in store.faces() if one.path == photos / f"{number}.png"]
            name_faces(store, name, [face])
    with Store.open(directory) as store:
        export(store, tmp_path / "faces.csv")
    named = ask(NAMED)
    assert len(named) == 6
    report = index(library=tmp_path / "other", names=f"csv:{tmp_path / 'faces.csv'}")
    assert (report.names.named, report.names.unmatched) == (6, ())
    with Store.open(tmp_path / "other") as store:
        assert store.database.rows(NAMED) == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,name\n", "no column 'path'"),
        ("", "no column 'path'"),
        ("path,name\na.png\n", "line 2: path or name is missing"),
        ("path,name\na.png,Ann\n\na\0,Ann\n", "line 4: not a path|line contains NUL"),
        ("path,name,face\na.png,Ann,0\n", "line 2: face must be a number from 1, got '0'"),
        (f"path,name,face\na.png,Ann,{'9' * 4301}\n", "face must be a number from 1, got '9"),
        ("path,name\na.png,Ann\na.png,Bo\n", "line 3: a.png is 'Ann' in an earlier line"),
        ("path,name\na.png,Jörg\n", "neither UTF-8 nor UTF-16"),
    ],
)
def test_an_invalid_list_is_an_error_with_its_line(write, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_list(write(text, "latin-1"), tmp_path)


def test_a_list_may_have_absolute_paths(index, csv, photos, ask):
    index(names=csv(f"{photos}/Bo/0.png,Bo"))
    assert ask(NAMED) == [("Bo", 1)]
