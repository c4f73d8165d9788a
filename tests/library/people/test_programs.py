"""Names of other programs on the faces of the fake detector: the halves of a wide photo."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from facehash.errors import InputError
from facehash.images.metadata.sidecar import is_ours
from facehash.images.rgb import turned
from facehash.library.people.edit import name_faces, unname_faces
from facehash.library.people.journal import list_statements, undo
from facehash.library.storage.store import Store
from facehash.library.upkeep.sidecars import export_sidecars
from tests.helpers.exiftool import exiftool, write_regions
from tests.images.metadata.documents import PICASA, packet, region
from tests.library.conftest import NAMED, draw

# The two faces of party.png, 80 x 40 pixels: middle, width and height, as programs draw them.
LEFT, RIGHT = (0.25, 0.5, 0.375, 0.75), (0.75, 0.5, 0.375, 0.875)
# How to make the stored picture of each orientation from the upright one.
STORED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


def sidecar(photo, body, ending=None, attributes=""):
    path = photo.with_name(photo.name + ".xmp") if ending is None else photo.with_suffix(ending)
    path.write_bytes(packet(body, attributes))
    return path


def faces(*named, size='stDim:w="80" stDim:h="40"'):
    """Return MWG regions of names and boxes."""
    parts = [
        region(name, size=size, x=x, y=y, w=w, h=h, unit="normalized")
        for name, (x, y, w, h) in named
    ]
    items = "".join(one[one.index("<rdf:li") : one.index("</rdf:Bag>")] for one in parts)
    head, _, tail = parts[0].partition("<rdf:li")
    return head + items + tail[tail.index("</rdf:Bag>") :]


def outcome(report):
    names = report.names
    return names.named, names.renamed, names.unchanged, names.kept


@pytest.fixture
def party(photos):
    return photos / "party.png"


def test_regions_of_a_sidecar_name_faces_and_repeat_nothing(index, party, ask):
    sidecar(party, faces(("Dora", RIGHT), ("Emil", LEFT)))
    report = index(names="xmp")
    assert outcome(report) == (2, 0, 0, 0) and report.names.regions == 2
    assert ask(NAMED) == [("Dora", 2), ("Emil", 1)]
    assert outcome(index(names="xmp")) == (0, 0, 2, 0)
    assert report.names.problems == report.names.missed == report.names.unplaced == ()


# Of the upright readings, a half turn and a mirrored photo have the same proportions, and there the
# guidelines decide: both faces have a region in both readings.
@pytest.mark.parametrize(
    ("measured", "orientation"),
    [("stored", one) for one in range(1, 9)] + [("upright", one) for one in (1, 4, 5, 6, 7, 8)],
)
def test_all_orientations(index, photos, ask, measured, orientation):
    # The upright photo has Ann on the left and Bo, whose region is flatter, on the right.
    pixels = turned(Image.fromarray(draw(90, width=80)), STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = photos / "turned.png"
    pixels.save(photo, exif=exif)
    size = pixels.size if measured == "stored" else (80, 40)
    boxes = {"Ann": (0.05, 0.1, 0.4, 0.8), "Bo": (0.55, 0.3, 0.4, 0.6)}
    if measured == "stored":
        # Where the regions are in the stored pixels: paint them upright, and turn the painting.
        for name, (x, y, w, h) in boxes.items():
            paint = np.zeros((40, 80), np.uint8)
            paint[round(y * 40) : round((y + h) * 40), round(x * 80) : round((x + w) * 80)] = 255
            shown = np.asarray(turned(Image.fromarray(paint), STORED[orientation])) > 0
            rows, columns = np.nonzero(shown)
            low, high = (columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)
            sides = shown.shape[::-1]
            boxes[name] = (
                low[0] / sides[0], low[1] / sides[1],
                (high[0] - low[0]) / sides[0], (high[1] - low[1]) / sides[1],
            )  # fmt: skip
    middles = {name: (x + w / 2, y + h / 2, w, h) for name, (x, y, w, h) in boxes.items()}
    width, height = size
    body = faces(*middles.items(), size=f'stDim:w="{width}" stDim:h="{height}"')
    sidecar(photo, body)
    assert outcome(index(names="xmp")) == (2, 0, 0, 0)
    assert ask(NAMED) == [("Ann", 1), ("Bo", 2)]


def test_both_names_of_a_sidecar_and_the_photo_itself(index, photos, ask):
    ann = photos / "Ann" / "0.png"
    write_regions(ann, (40, 40), ("Embedded", 0.5, 0.5, 0.5, 0.5))
    index(names="xmp")
    assert ask(NAMED) == [("Embedded", 1)]
    # A sidecar counts for more: programs write it to leave the photo as it is.
    square = 'stDim:w="40" stDim:h="40"'
    whole = (0.5, 0.5, 0.875, 0.875)
    short = sidecar(ann, faces(("Short", whole), size=square), ".xmp")
    index(names="xmp", replace_names=True)
    assert ask(NAMED) == [("Short", 1)]
    sidecar(ann, faces(("Long", whole), size=square)).rename(ann.with_name("0.PNG.XMP"))
    index(names="xmp", replace_names=True)
    assert ask(NAMED) == [("Long", 1)]
    # A sidecar may say that it belongs to another picture, but only where there is one.
    ann.with_name("0.PNG.XMP").unlink()
    body, of_jpeg = faces(("Other", whole), size=square), 'photoshop:SidecarForExtension="JPG"'
    sidecar(ann, body, ".xmp", of_jpeg)
    assert short.exists()
    index(names="xmp", replace_names=True)
    assert ask(NAMED) == [("Other", 1)]
    Image.fromarray(draw(70)).save(ann.with_suffix(".jpg"))
    index(names="xmp", replace_names=True)
    assert ask(NAMED) == [("Embedded", 1), ("Other", 1)]


def test_what_a_person_said_counts_and_conflicts_are_reported(index, party, photos, ask, directory):
    index(names="folders")
    sidecar(party, faces(("Dora", RIGHT), ("Emil", LEFT)))
    cy = photos / "Cy" / "0.png"
    sidecar(cy, faces(("Cyril", (0.5, 0.5, 1, 1)), size=""))
    with Store.open(directory) as store:
        by_path = {(one.path, one.number): one.id for one in store.faces()}
        name_faces(store, "Dorothy", [by_path[party, 2]])
        name_faces(store, "Emil", [by_path[party, 1]])
        unname_faces(store, [by_path[party, 1]])
    report = index(names="xmp")
    # A program overrides a folder, not a person.
    assert outcome(report) == (0, 1, 0, 2)
    conflicts = [(one.number, one.name, one.given, one.by_hand) for one in report.names.conflicts]
    assert conflicts == [(1, None, "Emil", True), (2, "Dorothy", "Dora", True)]
    assert ("Cyril", 1) in ask(NAMED) and ("Dorothy", 2) in ask(NAMED)
    # What a program said first stays, unless the newer names are to replace it; then too nothing
    # is taken away where the program says nothing.
    sidecar(cy, faces(("Cyrus", (0.5, 0.5, 1, 1)), size=""))
    report = index(names="xmp")
    assert outcome(report) == (0, 0, 0, 3) and not report.names.conflicts[0].by_hand
    assert outcome(index(names="xmp", replace_names=True)) == (0, 1, 0, 2)
    cy.with_name("0.png.xmp").unlink()
    assert index(names="xmp", replace_names=True).names.unnamed == 0
    assert ("Cyrus", 1) in ask(NAMED)
    with Store.open(directory) as store:
        assert [one.kind for one in list_statements(store)][:2] == ["xmp", "xmp"]
        assert undo(store)[0].restored == 1
    assert ("Cyril", 1) in ask(NAMED)


def test_a_region_without_a_face_is_reported_in_pixels(index, photos, party):
    night = photos / "night.png"
    sidecar(night, faces(("Owl", (0.5, 0.25, 0.5, 0.25)), size='stDim:w="20" stDim:h="20"'))
    sidecar(party, faces(("Dora", LEFT), ("Sky", (0.1, 0.05, 0.1, 0.1))))
    report = index(names="xmp")
    missed = {one.name: (one.path, one.box) for one in report.names.missed}
    assert missed["Owl"] == (night, pytest.approx((5, 2.5, 10, 5)))
    assert set(missed) == {"Owl", "Sky"} and report.names.regions == 3
    # A crop of another shape: where its regions are, nobody knows.
    sidecar(party, faces(("Dora", LEFT), size='stDim:w="30" stDim:h="40"'))
    [problem] = index(names="xmp").names.problems
    assert problem.path == party and "other proportions, 30 x 40 pixels" in problem.why


def test_names_without_a_region_need_one_face_and_one_name(index, photos, party, ask):
    people = "<Iptc4xmpExt:PersonInImage><rdf:Bag>{}</rdf:Bag></Iptc4xmpExt:PersonInImage>"

    def listed(*names):
        return people.format("".join(f"<rdf:li>{name}</rdf:li>" for name in names))

    sidecar(photos / "Ann" / "0.png", listed("  Ann \n\t Lee "))
    sidecar(photos / "Bo" / "0.png", listed("Bo", "Cy"))
    sidecar(party, listed("Dora"))
    sidecar(photos / "night.png", listed("Owl"))
    report = index(names="xmp")
    assert ask(NAMED) == [("Ann Lee", 1)]
    unplaced = [(one.path.name, one.names, one.faces) for one in report.names.unplaced]
    assert unplaced == [("0.png", ("Bo", "Cy"), 1), ("night.png", ("Owl",), 0),
                        ("party.png", ("Dora",), 2)]  # fmt: skip
    # Once a face has the name, there is nothing to report.
    sidecar(party, listed("Dora") + faces(("Dora", RIGHT)))
    assert len(index(names="xmp").names.unplaced) == 2
    sidecar(party, listed("Dora"))
    assert len(index(names="xmp").names.unplaced) == 2


def test_files_that_are_no_xmp_do_not_stop_the_others(index, photos, party, ask):
    sidecar(party, faces(("Dora", RIGHT)))
    bad = photos / "Ann" / "0.png.xmp"
    bad.write_bytes(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    (photos / "Ann" / "1.xmp").mkdir()
    endless = sidecar(photos / "Bo" / "0.png", region(x="nan", y=1, w=1, h=1))
    os.mkfifo(photos / "Cy" / "0.png.xmp")
    report = index(names="xmp")
    assert ask(NAMED) == [("Dora", 2)]
    problems = {one.path: one.why for one in report.names.problems}
    assert len(problems) == 4 and "entities" in problems[bad]
    assert problems[endless] == "the region of 'Ann' is not a part of the picture"
    assert not any("\n" in why for why in problems.values())


def test_a_long_or_unprintable_name_is_shortened(index, party, ask):
    sidecar(party, faces(("x" * 500, RIGHT), ("a&#x202e;&#9;b", LEFT)))
    index(names="xmp")
    assert ask(NAMED) == [("a\N{REPLACEMENT CHARACTER} b", 1), ("x" * 200, 2)]


def test_copies_with_different_sidecars_name_nobody(index, photos, party, ask):
    copy = photos / "Ann" / "copy.png"
    copy.write_bytes(party.read_bytes())
    sidecar(party, faces(("Dora", RIGHT), ("Emil", LEFT)))
    sidecar(copy, faces(("Dorothy", RIGHT), ("Emil", LEFT)))
    report = index(names="xmp")
    assert ask(NAMED) == [("Emil", 1)] and report.names.contradicted == (copy,)


def test_picasa(index, photos, party, ask, tmp_path):
    left = f"rect64(08002000{0x7800:04x}e000),8e62398ebda8c1a5"
    right = "rect64(88002000f800e000),d10a8325c557b085"
    (photos / ".picasa.ini").write_bytes(
        f"[PARTY.png]\nfaces={left};{right}\n[gone.jpg]\nfaces={left}\n".encode() + PICASA
    )
    report = index(names="picasa")
    assert outcome(report) == (2, 0, 0, 0) and report.names.problems == ()
    assert ask(NAMED) == [("Ann", 2), ("Jörg", 1)]
    # A number that its folder does not name, but another one, or contacts.xml, does.
    ann = "faces=rect64(10001000f000f000),{}\n"
    (photos / "Ann" / "Picasa.ini").write_text("[0.png]\n" + ann.format("d10a8325c557b085"))
    (photos / "Bo" / ".picasa.ini").write_text("[0.png]\n" + ann.format("1f"))
    report = index(names="picasa")
    assert ask(NAMED) == [("Ann", 1), ("Ann", 2), ("Jörg", 1)]
    assert [one.path.parent.name for one in report.names.problems] == ["Bo"]
    contacts = tmp_path / "contacts.xml"
    contacts.write_text('<contacts><contact id="1f" name="Bo"/></contacts>')
    assert outcome(index(names=f"picasa:{contacts}")) == (1, 0, 3, 0)
    contacts.write_text("<html/>")
    with pytest.raises(InputError, match="contacts.xml: not the contacts.xml of Picasa"):
        index(names=f"picasa:{contacts}")
    (photos / "Bo" / ".picasa.ini").write_bytes(b"\0")
    [problem] = index(names="picasa").names.problems
    assert problem.why == "not a text file of Picasa"


def test_takeout(index, photos, party, ask):
    def said(photo, *names, ending=".supplemental-metadata.json"):
        content = {"title": photo.name, "people": [{"name": name} for name in names]}
        photo.with_name(photo.name + ending).write_text(json.dumps(content))

    said(photos / "Ann" / "0.png", "Ann")
    said(photos / "Bo" / "0.png", "Bo", "Bea", ending=".json")
    said(party, "Dora", "Emil")
    said(photos / "night.png")
    (photos / "Cy" / "0.png.json").write_text("[")
    (photos / "Cy" / "user-generated-memory-titles.json").write_text("no photo's")
    report = index(names="takeout")
    assert ask(NAMED) == [("Ann", 1)] and outcome(report) == (1, 0, 0, 0)
    assert [one.names for one in report.names.unplaced] == [("Bo", "Bea"), ("Dora", "Emil")]
    [problem] = report.names.problems
    assert problem.path.name == "0.png.json" and problem.why.startswith("not JSON")
    assert (report.names.photos, report.names.regions) == (3, 0)


def test_sources_that_do_not_exist_are_refused_before_any_photo_is_read(index, tmp_path, ask):
    for names, why in (
        (f"xmp:{tmp_path}/none", "no such folder"),
        (f"picasa:{tmp_path}/none.xml", "No such file"),
        ("takeout:x", "not a source of names"),
        ("xmp:", "not a source of names"),
        ("xpm", "did you mean 'xmp'"),
    ):
        with pytest.raises(InputError, match=why):
            index(names=names)
    assert index(names="xmp").names.photos == 0


def test_a_round_trip_through_exiftool(index, photos, party, directory, tmp_path):
    index(names="folders")
    with Store.open(directory) as store:
        by_path = {(one.path, one.number): one.id for one in store.faces()}
        name_faces(store, "Jörg & Co. <3>", [by_path[party, 2]])
        name_faces(store, "李/四|五", [by_path[party, 1]])
        export_sidecars(store, progress=False)
        named = {(one.path, one.number): one.name for one in store.faces()}
    # exiftool reads the sidecars, and writes what it has read in its own way.
    read = json.loads(exiftool("-struct", "-json", "-XMP:all", *sorted(photos.rglob("*.xmp"))))
    assert all(one["RegionInfo"]["RegionList"] for one in read) and len(read) == 6
    exiftool("-q", "-overwrite_original", "-Rating=3", *photos.rglob("*.xmp"))
    assert not any(is_ours(path) for path in photos.rglob("*.xmp"))
    fresh = tmp_path / "fresh"
    report = index(library=fresh, names="xmp")
    assert report.names.missed == report.names.problems == report.names.unplaced == ()
    with Store.open(fresh) as store:
        assert {(one.path, one.number): one.name for one in store.faces()} == named
    assert sum(name is not None for name in named.values()) == 7
