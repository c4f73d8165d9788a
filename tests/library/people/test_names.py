import pytest

from facehash.errors import InputError
from facehash.library.people.names import read_list
from tests.library.conftest import NAMED


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "names.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_folder_names_the_largest_face_of_each_photo_in_it(index, photos, ask):
    (photos / "party.png").rename(photos / "Cy" / "party.png")
    index(names="folders")
    assert ask(NAMED) == [("Ann", 1), ("Ann", 1), ("Bo", 1), ("Cy", 1), ("Cy", 1), ("Cy", 1)]
    assert ask("SELECT number FROM faces WHERE person_id IS NULL") == [(2,)]


def test_a_photo_that_moved_gets_the_name_of_its_new_folder_if_there_is_one(index, photos, ask):
    index(names="folders")
    (photos / "Ann" / "0.png").rename(photos / "Bo" / "1.png")
    (photos / "Cy" / "0.png").rename(photos / "0.png")
    assert index(names="folders").named == 2
    assert ask(NAMED) == [("Ann", 1), ("Bo", 1), ("Bo", 1), ("Cy", 1)]


def test_a_list_can_name_any_face(index, write, ask, photos):
    file = write("path,name,face\nparty.png,Dora,2\nparty.png,Emil,\nAnn/0.png,Ann,1\nno.png,X,1\n")
    report = index(names=f"csv:{file}")
    assert report.named == 3 and report.unnamed == (photos / "no.png",)
    assert ask(NAMED) == [("Ann", 1), ("Dora", 2), ("Emil", 1)]
    # Names that are no longer in the list are removed.
    file = write("\ufeffpath,name\nAnn/0.png,Ann\n")
    assert index(names=f"csv:{file}").named == 2
    assert ask("SELECT name FROM people") == [("Ann",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,name\n", "no column 'path'"),
        ("path,name\na.png\n", "line 2: path or name is missing"),
        ("path,name,face\na.png,Ann,0\n", "line 2: face must be a number from 1, got '0'"),
        (f"path,name,face\na.png,Ann,{'9' * 4301}\n", "face must be a number from 1, got '9"),
        ("path,name\na.png,Ann\na.png,Bo\n", "line 3: a.png is 'Ann' in an earlier line"),
        ("path,name\na.png,Jörg\n", "not UTF-8"),
    ],
)
def test_an_invalid_list_is_an_error_with_its_line(write, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_list(write(text, "latin-1"), tmp_path)
