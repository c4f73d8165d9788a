import pytest

from facehash.errors import InputError
from facehash.images.metadata.picasa import faces_of, parse_contacts, parse_folder
from tests.images.metadata.documents import PICASA

ANN, JOERG = "d10a8325c557b085", "8e62398ebda8c1a5"
CONTACTS = (
    b'<contacts><contact id="8e62398ebda8c1a5" name="J&#246;rg" modified_time="2011-01-01T00:00:00'
    b'+01:00" sync_enabled="1"/><contact id="1" name="Bo"/><contact name="X"/></contacts>'
)


def test_faces_and_contacts_of_a_folder():
    folder = parse_folder(PICASA)
    assert folder.contacts == {JOERG: "Jörg", ANN: "Ann"}
    assert list(folder.faces) == ["a.jpg", "B.JPG", "c[1].jpg"]
    found = faces_of(folder.faces["a.jpg"], folder.contacts)
    # The numbers of the document: left, top, right, bottom in parts of 65,536.
    left, top, right, bottom = 0x3F84 / 65536, 0x5BCB / 65536, 0x5941 / 65536, 0x8507 / 65536
    first, second = found.regions
    assert (first.name, second.name) == ("Jörg", "Ann")
    assert first.box == pytest.approx((left, top, right - left, bottom - top))
    assert found.problems == ()
    # Picasa omits zeros in front: the left edge is 1 of 65,536.
    [short] = faces_of(folder.faces["B.JPG"], folder.contacts).regions
    assert short.box == pytest.approx((1 / 65536, 2 / 65536, 2 / 65536, 2 / 65536))


def test_nobody_unknown_numbers_and_junk():
    folder = parse_folder(PICASA)
    found = faces_of(folder.faces["c[1].jpg"], folder.contacts)
    assert found.regions == ()
    assert [one.split(":")[0] for one in found.problems] == [
        "no name for the number 0000000000000001; give Picasa's contacts.xml",
        "not a face of Picasa",
    ]
    for part in ("rect64(8000800070009000)", "rect64(8000800080009000)"):
        assert "not a part" in faces_of(f"{part},{ANN}", folder.contacts).problems[0]
    assert faces_of(f"rect64(80009000),{ANN};" * 1002, folder.contacts).problems == (
        "more than 1,000 faces in one photo",
    )
    assert not faces_of("", {})


def test_contacts_of_picasa():
    assert parse_contacts(CONTACTS) == {JOERG: "Jörg", "0" * 15 + "1": "Bo"}
    for content in (b"", b"<people/>", b"<contacts>", b"<!DOCTYPE x><contacts/>", b"\0" * 20):
        with pytest.raises(InputError) as error:
            parse_contacts(content)
        assert "\n" not in str(error.value)


def test_other_files_and_code_pages():
    text = "[a.jpg]\r\nfaces=rect64(1),2\r\nno value\r\n[Contacts2]\r\n2=J\xf6rg;;\r\nx=Y\r\n=\r\n"
    folder = parse_folder(text.encode("cp1252"))
    assert folder.contacts == {"0" * 15 + "2": "Jörg"} and folder.faces == {"a.jpg": "rect64(1),2"}
    assert parse_folder(b"\xef\xbb\xbf" + text.encode()).contacts == folder.contacts
    assert parse_folder(b"") == parse_folder(b"[\n]\n[Picasa]\nname=x") != folder
    with pytest.raises(InputError, match="not a text file"):
        parse_folder(b"SQLite\0")
