"""The same photos from a folder, from arrays and from pickles are the same pictures."""

import numpy as np
import pytest
from PIL import Image

from facehash.runs.fingerprint import picture_hashes
from tests.helpers.datasets import load, write_pickle

IMAGES = np.random.default_rng(1).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
LABELS = np.repeat(np.arange(4), 6)
OPTIONS = {"side": 32, "queries_per_identity": 2, "split": "content"}


def folder(root):
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        path = root / "faces" / str(label) / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return load(root / "faces", cache=root / "cache", **OPTIONS)


def arrays(root):
    np.savez(root / "faces.npz", images=IMAGES[::-1], labels=LABELS[::-1])
    return load(root / "faces.npz", **OPTIONS)


def hdf5(root):
    folder(root)
    (converted,) = (root / "cache").glob("*.h5")
    return load(converted, **OPTIONS)


def pickles(root):
    """In the authors' layout, channels first, which comes split."""
    vectors = IMAGES.transpose(0, 3, 1, 2).reshape(24, -1).astype("f4") / np.float32(255)
    for name in ("train", "test"):
        write_pickle(root / f"{name}_folder_facescrub" / "1.pkl", (vectors, LABELS.tolist()))
    options = {**OPTIONS, "split": "drawn", "loader": "ddh_pickles"}
    return load(root, name="facescrub", cache=root / "cache", **options)


@pytest.mark.parametrize("make", [folder, arrays, hdf5, pickles])
def test_photos_have_the_same_hashes_in_every_format(make, tmp_path):
    faces = make(tmp_path)
    found = picture_hashes(faces.images, np.arange(len(faces.labels)))
    assert set(found) == set(picture_hashes(IMAGES, np.arange(24)))
    assert faces.split == ("given" if make is pickles else "content")


def test_the_content_split_is_the_same_in_every_format(tmp_path):
    expected = None
    for number, make in enumerate((folder, arrays, hdf5)):
        (tmp_path / str(number)).mkdir()
        faces = make(tmp_path / str(number))
        queries = set(picture_hashes(faces.images, faces.query))
        assert expected is None or queries == expected
        expected = queries
    assert len(expected) == 8
