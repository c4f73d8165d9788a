"""Photos and weights that tests of faces share; none of them is in this repository."""

from __future__ import annotations

import functools
import shutil

from facehash.detectors.yunet import YuNet
from facehash.images.alignment import crop_face
from facehash.images.read import read_image
from tests.conftest import shared_path


def photos(step=1):
    """Paths of every `step`-th photo of LFW, 250 x 250, with the named person in the middle."""
    return sorted(lfw().glob("*/*.jpg"))[::step]


def weights_dir():
    return shared_path("weights")


@functools.cache
def yunet():
    return YuNet(weights_dir=weights_dir())


def central_face(image):
    """Find the face nearest to the middle: LFW's named person, not somebody behind."""
    height, width = image.shape[:2]

    def off_centre(face):
        x, y, w, h = face.box
        return abs(x + w / 2 - width / 2) + abs(y + h / 2 - height / 2)

    return min(yunet().detect(image), key=off_centre)


def central_crop(path, crop, side):
    image = read_image(path)
    return crop_face(image, central_face(image), crop, side)


def copy_people(folder, people, photos_each=6):
    """Copy photos of LFW to folders of their people: those with many photos, then with one.

    Args:
        folder: Where to.
        people: How many people with at least `photos_each` photos, and how many with one.
        photos_each: How many photos of each of the former.
    """
    sizes = {person: sorted(person.glob("*.jpg")) for person in sorted(lfw().iterdir())}
    several = [files for files in sizes.values() if len(files) >= photos_each][: people[0]]
    single = [files for files in sizes.values() if len(files) == 1][: people[1]]
    for path in (path for files in (*several, *single) for path in files[:photos_each]):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name / path.name)
    return folder


def lfw():
    return shared_path("faces", "lfw")
