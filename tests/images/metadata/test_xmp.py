import pytest

from facehash.errors import InputError
from facehash.images.metadata.regions import Region
from facehash.images.metadata.xmp import parse_xmp
from tests.images.metadata.documents import APPLE, DIGIKAM, GUIDELINES, IPTC, packet, region


def people(body, **options):
    return parse_xmp(packet(body, **options)).people


def boxes(found):
    return {one.name: pytest.approx(one.box) for one in found.regions}


def test_the_example_of_the_guidelines():
    found = people(GUIDELINES)
    # A circle is measured by the shorter side.
    circle = (0.25 - 0.05 * 2848 / 4288, 0.2, 0.1 * 2848 / 4288, 0.1)
    expected = {"John Doe": (0.47, 0.455, 0.06, 0.09), "Jane Doe": circle}
    assert {one.name: one.box for one in found.regions} == {
        name: pytest.approx(box) for name, box in expected.items()
    }
    assert {one.drawn_on for one in found.regions} == {(4288, 2848)}
    assert found.problems == found.names == ()


def test_digikam_writes_each_face_twice():
    found = people(DIGIKAM)
    assert boxes(found) == {"Ann": (0.45, 0.15, 0.1, 0.2)}
    assert found.names == ()  # Bo has no rectangle: Windows knew a name only


def test_faces_without_a_name_are_no_regions():
    assert people(APPLE) == parse_xmp(packet("")).people
    assert not people(APPLE)


def test_regions_and_people_of_the_iptc():
    found = people(IPTC)
    assert found.regions == (Region("Ann", (0.25, 0.5, 0.125, 0.25)),)
    assert found.names == ("Bo", "Cy")


def test_windows_without_mwg():
    body = (
        "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li><rdf:Description "
        'MPReg:PersonDisplayName="Zoë" MPReg:Rectangle="0.25, 0.5, 0.125, 0.25"/></rdf:li>'
        "</rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>"
    )
    assert people(body).regions == (Region("Zoë", (0.25, 0.5, 0.125, 0.25)),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_encodings_and_padding(encoding, wrapped):
    text = packet(region("Jörg 李", x=0.5, y=0.5, w=0.2, h=0.2), wrapped=wrapped).decode()
    if encoding in ("utf-16-le", "utf-16-be"):
        text = "\ufeff" + text
    content = text.encode(encoding) + b"\0\0\n"
    assert boxes(parse_xmp(content).people) == {"Jörg 李": (0.4, 0.4, 0.2, 0.2)}


def test_units_types_and_odd_values():
    assert boxes(people(region(x=100, y=150, w=40, h=30, unit="pixel"))) == {
        "Ann": (0.2, 0.45, 0.1, 0.1)
    }
    assert boxes(people(region(x=0.5, y=0.5, unit="normalized"))) == {"Ann": (0.5, 0.5, 0, 0)}
    assert boxes(people(region(kind="", x=0.5, y=0.5, w=1, h=1))) == {"Ann": (0, 0, 1, 1)}
    assert boxes(people(region(x=0.5, y=0.5, w=2, h=2, size=""))) == {"Ann": (0, 0, 1, 1)}
    for kind in ("Pet", "Focus", "BarCode"):
        assert not people(region(kind=kind, x="nan", y=1))


@pytest.mark.parametrize(
    "area",
    [
        {"x": "nan", "y": 0.5, "w": 0.1, "h": 0.1},
        {"x": "inf", "y": 0.5, "w": 0.1, "h": 0.1},
        {"x": 0.5, "y": 0.5, "w": -0.1, "h": 0.1},
        {"x": 0.5, "y": 0.5, "w": "0,1", "h": 0.1},
        {"x": 0.5, "y": 0.5, "w": "wide", "h": 0.1},
        {"x": 0.5, "y": 0.5, "d": "x"},
        {"x": 7, "y": 0.5, "w": 0.1, "h": 0.1},
        {"y": 0.5, "w": 0.1, "h": 0.1},
        {"x": "9" * 5000, "y": 0.5, "w": 0.1, "h": 0.1},
        {},
    ],
)
def test_a_region_with_impossible_numbers_is_a_problem(area):
    found = people(region(**area))
    assert found.regions == ()
    assert found.problems == ("the region of 'Ann' is not a part of the picture",)


def test_pixels_without_a_size_and_sizes_that_are_none():
    for size in ("", 'stDim:w="0" stDim:h="3"', 'stDim:w="nan" stDim:h="3"', 'stDim:w="x"'):
        assert people(region(size=size, x=9, y=9, w=4, h=4, unit="pixel")).problems
        [found] = people(region(size=size, x=0.5, y=0.5, w=0.5, h=0.5)).regions
        assert found.drawn_on is None


WRONG_TYPES = [
    "<mwg-rs:Regions>text</mwg-rs:Regions>",
    "<mwg-rs:Regions/>",
    '<mwg-rs:Regions rdf:resource="x"/>',
    "<mwg-rs:Regions><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></mwg-rs:Regions>",
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList>x</mwg-rs:RegionList>'
    "</mwg-rs:Regions>",
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li>x</rdf:li>'
    "<rdf:li/><rdf:li><rdf:Bag/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>",
    "<MP:RegionInfo><MPRI:Regions/></MP:RegionInfo>",
    "<Iptc4xmpExt:ImageRegion>x</Iptc4xmpExt:ImageRegion>",
    "<Iptc4xmpExt:PersonInImage/>",
    "<dc:title>x</dc:title>",
]


@pytest.mark.parametrize("body", WRONG_TYPES)
def test_properties_of_another_type_say_nothing(body):
    assert not people(body)


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]><x>&c;</x>"""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (LAUGHS, "document type or entities"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "document type or entities"),
        (b"<!DOCTYPE x><x/>", "document type or entities"),
        (b"<x>&nbsp;</x>", "damaged"),
        (packet(GUIDELINES)[:900], "damaged"),
        (b"", "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b'<?xml version="1.0" encoding="klingon"?><x/>', "damaged"),
        (b'<?xml version="1.0" encoding="utf-7"?><x/>', "damaged"),
        (b"<x>" + b" " * (9 << 20) + b"</x>", "larger than 8 MB"),
    ],
)
def test_hostile_packets_are_refused_in_one_line(content, why):
    with pytest.raises(InputError, match=why) as error:
        parse_xmp(content)
    assert "\n" not in str(error.value)


def test_deep_and_wide_packets_end_soon():
    deep = "<dc:title>" * 50_000 + "</dc:title>" * 50_000
    assert not people(deep)
    nested = "<rdf:Description>" * 9_000 + "</rdf:Description>" * 9_000
    assert not people(nested)
    item = '<rdf:li MPReg:PersonDisplayName="Ann" MPReg:Rectangle="0, 0, 1, 1"/>' * 1001
    wide = f"<MP:RegionInfo><MPRI:Regions><rdf:Bag>{item}</rdf:Bag></MPRI:Regions></MP:RegionInfo>"
    assert people(wide).problems == ("more than 1,000 regions in one photo",)


def test_a_sidecar_may_name_the_ending_of_its_picture():
    assert parse_xmp(packet("")).for_extension is None
    found = parse_xmp(packet("", 'photoshop:SidecarForExtension="CR2"'))
    assert found.for_extension == "CR2"
