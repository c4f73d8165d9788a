import pytest

from facehash.errors import InputError
from facehash.library.people.names import parse_names, read_list
from facehash.library.people.people import check_name


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "names.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def names_of(ask):
    return dict(
        ask(
            "SELECT substr(CAST(path AS TEXT), -12) || ' ' || number, name FROM faces "
            "JOIN paths USING (photo_id) JOIN people ON people.id = person_id"
        )
    )


def test_a_folder_names_the_largest_face_of_its_photos(index, photos, ask):
    (photos / "party.png").rename(photos / "Ann" / "party.png")
    index(names="folders")
    assert names_of(ask)["/Ann/party.png 1"[-14:]] == "Ann"
    assert ask("SELECT count(person_id) FROM faces WHERE number = 2") == [(0,)]


def test_photos_directly_in_the_folder_get_no_name(index, ask):
    index(names="folders")
    assert ask("SELECT count(*) FROM faces WHERE person_id IS NULL") == [(2,)]


def test_a_photo_that_moved_to_another_folder_gets_its_name(index, photos, ask):
    index(names="folders")
    (photos / "Ann" / "0.png").rename(photos / "Bo" / "1.png")
    assert index(names="folders").named == 1
    assert ask("SELECT name, count(*) FROM faces JOIN people ON people.id = person_id "
               "GROUP BY name") == [("Ann", 1), ("Bo", 2), ("Cy", 2)]  # fmt: skip


def test_a_list_can_name_any_face(index, write, ask, photos):
    file = write("path,name,face\nparty.png,Dora,2\nparty.png,Emil,\nAnn/0.png,Ann,1\nno.png,X,1\n")
    report = index(names=f"csv:{file}")
    assert report.named == 3 and report.unnamed == (photos / "no.png",)
    assert ask("SELECT name, number FROM faces JOIN people ON people.id = person_id "
               "ORDER BY name") == [("Ann", 1), ("Dora", 2), ("Emil", 1)]  # fmt: skip
    # Names that are no longer in the list are removed.
    file = write("\ufeffpath,name\nAnn/0.png,Ann\n")
    assert index(names=f"csv:{file}").named == 2
    assert ask("SELECT name FROM people") == [("Ann",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,name\n", "no column 'path'"),
        ("path,name\na.png\n", "line 2: path or name is missing"),
        ("path,name\na.png,\n", "line 2: a name must not be empty"),
        ("path,name,face\na.png,Ann,0\n", "line 2: face must be a number from 1, got '0'"),
        ("path,name\na.png,Ann\na.png,Bo\n", "line 3: a.png is 'Ann' in an earlier line"),
    ],
)
def test_an_invalid_list_is_an_error_with_its_line(write, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_list(write(text), tmp_path)


def test_a_list_in_another_encoding_is_an_error(write, tmp_path):
    with pytest.raises(InputError, match="not UTF-8"):
        read_list(write("path,name\na.png,Jörg\n", "latin-1"), tmp_path)


def test_sources_of_names(tmp_path):
    assert parse_names("none", tmp_path).kind is None
    assert parse_names("folders", tmp_path).kind == "folders"
    with pytest.raises(InputError, match="not a source of names"):
        parse_names("csv:", tmp_path)
    with pytest.raises(FileNotFoundError):
        parse_names("csv:nothing.csv", tmp_path)


def test_names_are_normalized():
    assert check_name(" Zoe\u0308 ") == "Zoë"
