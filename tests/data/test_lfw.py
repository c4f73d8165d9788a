import numpy as np
import pytest
from PIL import Image

import data
from data.sources import SourceError


@pytest.fixture
def load(tmp_path):
    def load(source, **options):
        arguments = {"side": 16, "seed": 0, "queries_per_identity": 1, "cache": tmp_path / "cache"}
        return data.load("lfw", loader=None, source=source, **(arguments | options))

    return load


@pytest.fixture
def source(tmp_path):
    for person, count in {"Ann_Lee": 3, "Bo_Ek": 1, "Cy_Day": 2}.items():
        folder = tmp_path / "lfw" / person
        folder.mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new("RGB", (20, 20)).save(folder / f"{person}_{number:04d}.jpg")
    return tmp_path / "lfw"


def test_people_with_one_photo_are_in_the_gallery_only(load, source):
    faces = load(source)
    assert faces.counts() == {"identities": 3, "train": 4, "gallery": 4, "query": 2}
    lone = faces.identities.index("Bo_Ek")
    assert lone in faces.labels[faces.gallery] and lone not in faces.labels[faces.query]


@pytest.mark.parametrize("name", ["Ann_Lee_4.jpg", "Bo_Ek_0002.jpg", "photo.jpg"])
def test_a_photo_named_otherwise_is_refused(load, source, name):
    (source / "Ann_Lee" / "Ann_Lee_0001.jpg").rename(source / "Ann_Lee" / name)
    with pytest.raises(
        SourceError, match=f"{name}: in LFW it would be Ann_Lee_0001.jpg .* 'folder"
    ):
        load(source)


def test_the_other_loader_takes_any_names(load, source):
    (source / "Ann_Lee" / "Ann_Lee_0001.jpg").rename(source / "Ann_Lee" / "photo.jpg")
    arguments = {"side": 16, "seed": 0, "queries_per_identity": 1}
    faces = data.load(
        "lfw", loader="folders", source=source, cache=source.parent / "cache", **arguments
    )
    assert len(faces.labels) == 6


def test_the_real_photos_load(shared, load):
    source = shared("faces", "lfw")
    faces = load(source, side=24)
    assert len(faces.identities) == 650 and len(faces.labels) == 2264
    sizes = np.bincount(faces.labels)
    assert (sizes == 1).sum() == 400
    assert len(faces.query) == 250 and (sizes[faces.labels[faces.query]] > 1).all()


def test_the_real_photos_have_roles_under_unseen(shared, load):
    faces = load(shared("faces", "lfw"), side=24, protocol="unseen")
    held_out = set(faces.labels[faces.gallery])
    assert len(held_out) == 130 and not held_out & set(faces.labels[faces.train])
