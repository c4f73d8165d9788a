import pytest

from facehash.errors import InputError
from facehash.images.metadata.takeout import files_of_photos, parse_takeout


def test_names_of_a_photo():
    content = (
        '{"title": "a.jpg", "photoTakenTime": {"timestamp": "1600000000"}, '
        '"people": [{"name": "Zoë"}, {"name": "Ann"}, {"name": "Zoë"}, {"name": " "}, {}]}'
    )
    found = parse_takeout(content.encode())
    assert found.names == ("Zoë", "Ann") and found.regions == ()
    assert not parse_takeout(b'{"title": "metadata of an album"}')


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"1", b"{", b'{"people": 3}', b'{"people": ["Ann"]}', b'{"people": {"name": 1}}',
     b'{"people": [{"name": 7}]}', b"[" * 100_000, b"\xff\xfe\xfa",
     b'{"people": [' + b'{"name": "Ann"},' * 1001 + b'{"name": "Bo"}]}'],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(content):
    with pytest.raises(InputError) as error:
        parse_takeout(content)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


LONG = "PXL_20230401_123456789.PORTRAIT-01.COVER.jpg"  # 44 characters
LONGER = "a-very-long-name-of-a-photo-which-nobody-would-type.jpg"


@pytest.mark.parametrize(
    ("photo", "file"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.JPG", "img_1.jpg.SUPPLEMENTAL-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bearbeitet(2).jpg", "IMG_1.jpg(2).json"),
        (LONG, f"{LONG}.s.json"),
        (LONGER, f"{LONGER[:46]}.json"),
    ],
)
def test_a_photo_finds_its_file(photo, file):
    # The original of an edited photo is in the folder too.
    originals = ["IMG_1.jpg", "IMG_1(2).jpg", LONG, LONGER]
    others = [one for one in originals if one.casefold() != photo.casefold()]
    found = files_of_photos([photo, *others], [file, "metadata.json", "print-subscriptions.json"])
    assert found[photo] == file
    if "edited" not in photo and "bearbeitet" not in photo:
        assert len([one for one in found if one in originals or one == photo]) == 1


def test_files_of_other_photos_are_not_taken():
    photos = ["IMG_1.jpg", "IMG_10.jpg", f"{LONGER[:46]}1.jpg", f"{LONGER[:46]}2.jpg"]
    assert files_of_photos(photos, ["IMG_2.jpg.json", "IMG.json", f"{LONGER[:46]}.json"]) == {}
    both = ["IMG_1.jpg.json", "IMG_1.jpg.supplemental-metadata.json"]
    assert files_of_photos(photos, both) == {"IMG_1.jpg": both[1]}
