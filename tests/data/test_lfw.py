import numpy as np
import pytest

from data.conversion import SourceError
from tests.helpers import datasets
from tests.helpers.datasets import write_picture


@pytest.fixture
def load(tmp_path):
    def load(source, **options):
        return datasets.load(source, "lfw", tmp_path / "cache", **options)

    return load


@pytest.fixture
def source(tmp_path):
    for person, count in {"Ann_Lee": 3, "Bo_Ek": 1, "Cy_Day": 2}.items():
        for number in range(1, count + 1):
            write_picture(tmp_path / "lfw" / person / f"{person}_{number:04d}.jpg")
    return tmp_path / "lfw"


@pytest.mark.parametrize("name", ["Ann_Lee_4.jpg", "Bo_Ek_0002.jpg"])
def test_a_photo_of_another_name_is_refused_and_read_by_the_other_loader(load, source, name):
    (source / "Ann_Lee" / "Ann_Lee_0001.jpg").rename(source / "Ann_Lee" / name)
    with pytest.raises(SourceError, match=f"{name}: file names in LFW are Ann_Lee_0001.*'folders'"):
        load(source)
    assert len(load(source, loader="folders").labels) == 6


@pytest.mark.full
def test_the_real_photos_load(shared, load):
    source = shared("faces", "lfw")
    faces = load(source, side=24)
    assert len(faces.identities) == 650 and len(faces.labels) == 2264
    sizes = np.bincount(faces.labels)
    assert (sizes == 1).sum() == 400
    assert len(faces.query) == 250 and (sizes[faces.labels[faces.query]] > 1).all()
    faces = load(source, side=24, protocol="unseen")
    held_out = set(faces.labels[faces.gallery])
    assert len(held_out) == 130 and not held_out & set(faces.labels[faces.train])
