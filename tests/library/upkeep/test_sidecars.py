import os

import pytest
from PIL import Image

from facehash.errors import InputError
from facehash.images.metadata.sidecar import is_ours
from facehash.library.people.edit import unname_person
from facehash.library.storage.store import Store
from facehash.library.upkeep.sidecars import export_sidecars
from tests.helpers.exiftool import exiftool, read_xmp
from tests.library.conftest import draw


@pytest.fixture
def export(index, directory):
    index(names="folders")

    def export(folder=None):
        with Store.open(directory) as store:
            return export_sidecars(store, folder, progress=False)

    return export


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sidecars_are_written_beside_photos_that_stay_as_they_are(export, photos):
    before = content(photos)
    done = export()
    assert (done.written, done.faces, done.problems, done.folder) == (5, 5, (), None)
    after = content(photos)
    assert {path: after[path] for path in before} == before
    added = {str(path.relative_to(photos)) for path in after.keys() - before.keys()}
    assert added == {f"{name}.png.xmp" for name in ("Ann/0", "Ann/1", "Bo/0", "Cy/0", "Cy/1")}
    again = export()
    assert (again.written, again.unchanged) == (0, 5) and content(photos) == after


def test_sidecars_of_other_programs_stay_and_are_reported(export, photos):
    foreign = photos / "Ann" / "0.png.xmp"
    foreign.write_text("<mine/>")
    short = photos / "Ann" / "1.xmp"
    short.write_text("<mine/>")
    shouted = photos / "Bo" / "0.PNG.XMP"
    shouted.write_text("<mine/>")
    done = export()
    assert done.written == 2 and [one.path.name for one in done.problems] == [
        "0.png",
        "1.png",
        "0.png",
    ]
    assert {path.read_text() for path in (foreign, short, shouted)} == {"<mine/>"}
    assert not (photos / "Ann" / "1.png.xmp").exists()
    # One of ours that another program has changed is that program's.
    changed = photos / "Cy" / "0.png.xmp"
    exiftool("-q", "-overwrite_original", "-Rating=5", changed)
    before = changed.read_bytes()
    assert len(export().problems) == 4 and changed.read_bytes() == before


def test_ours_follow_the_library(export, photos, directory):
    export()
    with Store.open(directory) as store:
        unname_person(store, "Cy")
    foreign = photos / "Cy" / "1.png.xmp"
    foreign.write_text("<mine/>")
    done = export()
    assert (done.removed, done.unchanged, done.problems) == (1, 3, ())
    assert not (photos / "Cy" / "0.png.xmp").exists() and foreign.exists()


def test_a_folder_mirrors_the_tree_of_the_photos(export, photos, tmp_path, index):
    done = export(tmp_path / "sidecars")
    assert (done.written, done.folder) == (5, photos)
    [ann, *_] = sorted((tmp_path / "sidecars").rglob("*.xmp"))
    assert ann == tmp_path / "sidecars" / "Ann" / "0.png.xmp" and is_ours(ann)
    assert ann.stat().st_mode & 0o777 == 0o600
    assert not list(photos.rglob("*.xmp"))
    fresh = index(library=tmp_path / "fresh", names=f"xmp:{tmp_path / 'sidecars'}")
    assert (fresh.names.named, fresh.names.missed) == (5, ())


def test_the_indexed_folder_is_mirrored_even_if_all_photos_are_deeper(
    index, photos, directory, tmp_path
):
    for path in photos.rglob("*.png"):
        if path.parent != photos / "Ann":
            path.unlink()
    index(names="folders")
    with Store.open(directory) as store:
        done = export_sidecars(store, tmp_path / "sidecars", progress=False)
    assert (done.folder, done.written) == (photos, 2)
    assert (tmp_path / "sidecars" / "Ann" / "1.png.xmp").exists()


def test_bad_folders_are_refused(export, photos, directory, tmp_path):
    (tmp_path / "file").write_text("")
    for folder, why in (
        (directory / "x", "is in the library"),
        (photos / "x", "a folder with indexed photos"),
        (tmp_path / "file", "is a file"),
    ):
        with pytest.raises(InputError, match=why):
            export(folder)


def test_changed_and_missing_photos_get_none(export, photos):
    Image.fromarray(draw(60)).save(photos / "Ann" / "0.png")
    (photos / "Ann" / "1.png").unlink()
    (photos / "Bo" / "0.png").chmod(0o444)
    done = export()
    assert done.written == 3
    whys = [one.why for one in done.problems]
    assert "changed since it was indexed" in whys[0] and "No such file" in whys[1]
    # Others may read it as they may read the photo; its owner may write it.
    assert (photos / "Bo" / "0.png.xmp").stat().st_mode & 0o777 == 0o644


def test_a_link_in_place_of_a_sidecar_leads_nowhere(export, photos, tmp_path):
    victim = tmp_path / "diary.xmp"
    victim.write_text("dear diary")
    os.symlink(victim, photos / "Ann" / "0.png.xmp")
    assert len(export().problems) == 1 and victim.read_text() == "dear diary"


@pytest.mark.parametrize("orientation", [3, 6, 7, 8])
def test_regions_measure_the_stored_picture(index, photos, directory, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = Image.fromarray(draw(61, width=80))
    upright = wide if orientation == 3 else wide.transpose(Image.Transpose.ROTATE_90)
    upright.save(photos / "Ann" / "0.png", exif=exif)
    index(names="folders")
    with Store.open(directory) as store:
        export_sidecars(store, tmp_path / "out", progress=False)
    info = read_xmp(tmp_path / "out" / "Ann" / "0.png.xmp")["RegionInfo"]
    width, height = upright.size
    assert (info["AppliedToDimensions"]["W"], info["AppliedToDimensions"]["H"]) == (width, height)
    area = info["RegionList"][0]["Area"]
    # The largest face, 40 x 40 pixels, is on the left of the upright photo.
    expected = {3: (0.75, 0.5), 6: (0.5, 0.75), 7: (0.5, 0.75), 8: (0.5, 0.25)}
    middle = (area["X"], area["Y"])
    assert middle == pytest.approx(expected[orientation], abs=1e-5)
