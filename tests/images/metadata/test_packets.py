import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from facehash.errors import InputError
from facehash.images.metadata.packets import read_embedded, read_header, read_sidecar
from tests.helpers.exiftool import exiftool, read_xmp, write_regions
from tests.images.metadata.documents import IPTC, packet, region
from tests.library.conftest import few_lean

PACKET = packet(region(x=0.5, y=0.25, w=0.5, h=0.25))
BOX = (0.25, 0.125, 0.5, 0.25)


def picture(path, orientation=None, **options):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    shade = np.linspace(0, 255, 40 * 30 * 3).astype(np.uint8).reshape(30, 40, 3)
    Image.fromarray(shade).save(path, exif=exif, **options)
    return path


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def names_in(path):
    return {one.name: one.box for one in read_embedded(path)[1].regions}


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif", "avif", "png"])
def test_the_packet_of_each_format_is_found_beside_the_orientation(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        content = b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET
        plain = picture(path, 6).read_bytes()
        path.write_bytes(plain[:33] + chunk(b"iTXt", content) + plain[33:])
    elif ending == "tif":
        Image.open(picture(path)).save(path, tiffinfo={700: PACKET, 274: 6})
    else:
        picture(path, 6, xmp=PACKET)
    header, people = read_embedded(path)
    assert header == read_header(path) == ((40, 30), 6)
    assert {one.name: one.box for one in people.regions} == {"Ann": BOX}
    assert not read_embedded(picture(tmp_path / "none.jpg"))[1]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_png_may_have_it_compressed_and_after_the_pixels(tmp_path, compressed, late):
    text = zlib.compress(PACKET) if compressed else PACKET
    added = chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"en\0XMP\0" + text)
    plain = picture(tmp_path / "a.png").read_bytes()
    place = len(plain) - 12 if late else 33
    (tmp_path / "a.png").write_bytes(plain[:place] + added + plain[place:])
    assert names_in(tmp_path / "a.png") == {"Ann": BOX}


@few_lean("ending", ["jpg", "png", "tif", "webp"], 1)
def test_what_exiftool_writes_into_a_photo_is_read(tmp_path, ending):
    path = picture(tmp_path / f"a.{ending}", 3)
    faces = [("Ann", 0.25, 0.5, 0.125, 0.25), ("Jörg & Bo <3", 0.75, 0.5, 0.25, 0.5)]
    write_regions(path, (40, 30), *faces)
    rectangle = "-RegionInfoMP={Regions=[{PersonDisplayName=Cy,Rectangle=0.5\\, 0\\, 0.25\\, 0.1}]}"
    if ending == "jpg":
        exiftool("-q", "-overwrite_original", "-PersonInImage=Dora", rectangle.replace("\\,", "|,"),
                 path)  # fmt: skip
    header, people = read_embedded(path)
    assert (header.size, header.orientation) == ((40, 30), 3)
    found = {one.name: one.box for one in people.regions}
    assert found["Ann"] == pytest.approx((0.1875, 0.375, 0.125, 0.25))
    assert found["Jörg & Bo <3"] == pytest.approx((0.625, 0.25, 0.25, 0.5))
    if ending == "jpg":
        assert found["Cy"] == pytest.approx((0.5, 0, 0.25, 0.1))
        assert people.names == ("Dora",)
    assert {one.drawn_on for one in people.regions if one.name != "Cy"} == {(40, 30)}


def test_long_xmp_of_a_jpeg_goes_on_in_other_segments(tmp_path):
    path = picture(tmp_path / "a.jpg")
    faces = [(f"Person {i} {'x' * 500}", 0.5, 0.5, 0.125, i / 200) for i in range(1, 150)]
    write_regions(path, (40, 30), *faces)
    assert path.read_bytes().count(b"http://ns.adobe.com/xmp/extension/") > 1
    found = names_in(path)
    assert len(found) == 149
    assert found[f"Person 100 {'x' * 500}"] == pytest.approx((0.4375, 0.25, 0.125, 0.5))


def test_exiftool_and_this_project_read_the_same(tmp_path):
    path = picture(tmp_path / "a.jpg", xmp=packet(IPTC))
    seen = read_xmp(path)
    people = read_embedded(path)[1]
    assert seen["ImageRegion"][0]["RegionBoundary"]["RbX"] == people.regions[0].box[0]
    assert seen["PersonInImage"] == ["Ann", "Bo"] and people.names == ("Bo", "Cy")


def test_broken_xmp_is_a_problem_and_a_broken_picture_an_error(tmp_path):
    path = picture(tmp_path / "a.jpg", 8, xmp=PACKET[:700])
    header, people = read_embedded(path)
    assert header.orientation == 8 and len(people.problems) == 1
    assert people.problems[0].startswith("its XMP is damaged")
    for content in (
        b"",
        b"no picture",
        path.read_bytes()[:30],
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 40,
    ):
        (tmp_path / "b.jpg").write_bytes(content)
        with pytest.raises(InputError) as error:
            read_embedded(tmp_path / "b.jpg")
        assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    bomb = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b" " * (10 << 20)))
    plain = picture(tmp_path / "c.png").read_bytes()
    (tmp_path / "c.png").write_bytes(plain[:-12] + bomb + plain[-12:])
    assert read_embedded(tmp_path / "c.png")[1].problems == ("its XMP is larger than 8 MB",)


def test_sidecars_that_cannot_be_read_are_problems(tmp_path):
    (tmp_path / "a.xmp").write_bytes(PACKET)
    assert len(read_sidecar(tmp_path / "a.xmp").people.regions) == 1
    (tmp_path / "b.xmp").write_bytes(b"<x")
    (tmp_path / "c.xmp").mkdir()
    for name, why in (("b", "damaged"), ("c", "not a regular file"), ("d", "No such file")):
        [problem] = read_sidecar(tmp_path / f"{name}.xmp").people.problems
        assert why in problem and str(tmp_path) not in problem


def test_the_decoder_of_heic_turns_the_photo_itself(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(file, "HEIF", exif=exif, xmp=PACKET)
    (tmp_path / "a.heic").write_bytes(file.getvalue())
    header, people = read_embedded(tmp_path / "a.heic")
    assert len(people.regions) == 1
    # The decoder's size is the upright one; the other is stored.
    assert header == ((48, 64), 6)
