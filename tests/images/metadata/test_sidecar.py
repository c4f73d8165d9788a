import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehash.images.metadata.regions import Region
from facehash.images.metadata.sidecar import is_ours, write_sidecar
from facehash.images.metadata.xmp import parse_xmp
from tests.helpers.exiftool import exiftool, read_xmp

REGIONS = [
    Region("Ann", (0.25, 0.5, 0.125, 0.25), (4000, 3000)),
    Region("Jörg & <Bo> \"'/|李", (0, 0, 1, 1), (4000, 3000)),
    Region("Ann", (0.5, 0.5, 0.1, 0.1), (4000, 3000)),
]


def test_what_is_written_is_read_by_exiftool(tmp_path):
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(write_sidecar(REGIONS, "1.2"))
    assert "error" not in exiftool("-validate", "-warning", "-a", path).lower()
    seen = read_xmp(path)
    names = ["Ann", REGIONS[1].name]
    assert seen["PersonInImage"] == names
    # A tag is a path: the name with the separators in it is none.
    assert seen["TagsList"] == ["People/Ann"] and seen["HierarchicalSubject"] == ["People|Ann"]
    info = seen["RegionInfo"]
    assert info["AppliedToDimensions"] == {"W": 4000, "H": 3000, "Unit": "pixel"}
    assert [one["Name"] for one in info["RegionList"]] == [one.name for one in REGIONS]
    assert {one["Type"] for one in info["RegionList"]} == {"Face"}
    first = {"X": 0.3125, "Y": 0.625, "W": 0.125, "H": 0.25, "Unit": "normalized"}
    assert info["RegionList"][0]["Area"] == first


NAMES = (
    st.text(min_size=1, max_size=30).map(str.strip).filter(lambda one: one and one.isprintable())
)


@given(st.lists(st.tuples(NAMES, *[st.floats(0, 0.49) for _ in range(4)]), min_size=1, max_size=4))
def test_what_is_written_is_read_again(faces):
    regions = [Region(name, (x, y, w + 0.01, h + 0.01), (640, 480)) for name, x, y, w, h in faces]
    found = parse_xmp(write_sidecar(regions, "1")).people
    assert [one.name for one in found.regions] == [one.name for one in regions]
    for one, other in zip(found.regions, regions, strict=True):
        assert one.box == pytest.approx(other.box, abs=2e-6)
    assert {one.drawn_on for one in found.regions} == {(640, 480)}
    assert found.names == found.problems == ()


def test_a_sidecar_is_ours_until_another_program_changes_it(tmp_path):
    path = tmp_path / "a.xmp"
    path.write_bytes(write_sidecar(REGIONS, "0.2.0"))
    assert is_ours(path) and write_sidecar(REGIONS, "0.2.0") == path.read_bytes()
    exiftool("-q", "-overwrite_original", "-Rating=5", path)
    assert not is_ours(path)
    assert len(parse_xmp(path.read_bytes()).people.regions) == 3
