"""Photos and weights that tests of faces share; none of them is in this repository."""

from __future__ import annotations

import functools

from facehash.faces.alignment import crop_face
from facehash.faces.images import read_image
from facehash.faces.yunet import YuNet
from tests.conftest import shared_path


def photos(step=1):
    """Paths of every `step`-th photo of LFW, 250 x 250, with the named person in the middle."""
    return sorted(shared_path("faces", "lfw").glob("*/*.jpg"))[::step]


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
