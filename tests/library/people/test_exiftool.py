"""Names of photos of Labeled Faces in the Wild go out through exiftool and come back."""

import csv
import io

import pytest
from PIL import Image

from facehash.images.rgb import turned
from tests.helpers.exiftool import exiftool, read_xmp
from tests.helpers.face_data import copy_people, weights_dir
from tests.helpers.facehash_command import facehash

pytestmark = pytest.mark.full
# How to store an upright photo so that this orientation shows it upright.
STORED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


def names_in(library):
    """Return (photo, number of the face) -> name, as facehash export writes it."""
    code, out, _ = facehash("export", "-", "--library", library)
    assert code == 0
    rows = csv.DictReader(io.StringIO(out))
    return {(row["path"], row["face"]): row["name"] for row in rows}


def test_names_come_back_from_sidecars_and_from_photos(tmp_path):
    photos = copy_people(tmp_path / "album", (1, 4))
    # The photos have all eight orientations; each person's largest face gets a name.
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))):
        exif = Image.Exif()
        exif[0x0112] = orientation = number % 8 + 1
        with Image.open(path) as image:
            stored = turned(image.convert("RGB"), STORED[orientation])
        stored.save(path, exif=exif, quality=95)
    index = ("index", photos, "--weights-dir", weights_dir(), "--workers", 1, "--library")
    assert facehash(*index, tmp_path / "lib", "--names", "folders")[0] == 0
    named = names_in(tmp_path / "lib")
    assert sum(map(bool, named.values())) == 10
    assert facehash("export", "--xmp", "beside", "--library", tmp_path / "lib")[0] == 0
    sidecars = sorted(photos.rglob("*.xmp"))
    assert len(sidecars) == 10
    for sidecar in sidecars:
        [region] = read_xmp(sidecar)["RegionInfo"]["RegionList"]
        assert region["Name"] == sidecar.parent.name
    code, out, _ = facehash(*index, tmp_path / "from_sidecars", "--names", "xmp")
    assert code == 0 and "names in 10 photos, 10 regions\n" in out
    assert names_in(tmp_path / "from_sidecars") == named
    # exiftool moves the regions into the photos.
    for sidecar in sidecars:
        photo = sidecar.with_suffix("")
        exiftool("-q", "-overwrite_original", "-TagsFromFile", sidecar, "-RegionInfo", photo)
        sidecar.unlink()
    code, out, _ = facehash(*index, tmp_path / "from_photos", "--names", "xmp")
    assert code == 0 and "names in 10 photos, 10 regions\n" in out
    assert names_in(tmp_path / "from_photos") == named
