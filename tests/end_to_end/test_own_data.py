"""docs/own_data.md tells the truth: every error that it lists is provoked here."""

import re

import numpy as np
import pytest
from PIL import Image

import data
from facehash.config import load_config
from facehash.errors import InputError
from facehash.methods import options_class
from facehash.runs.directory import RunDirectory
from facehash.runs.files import apply_split, write_split
from tests.conftest import ROOT

CONFIG = ROOT / "configs" / "ddh" / "folders.yaml"
TEXT = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
ERRORS = re.search("<!-- begin errors -->(.*)<!-- end errors -->", TEXT, re.DOTALL)[1]
LISTED = re.findall(r"^\| `([^|]+)` \|", ERRORS, re.MULTILINE)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = np.repeat(np.arange(3), 4)


def folder(root, people, photos=5):
    """Make a folder with so many photos of each person."""
    for person in people:
        (root / person).mkdir(parents=True, exist_ok=True)
        for number in range(photos):
            Image.fromarray(IMAGES[number]).save(root / person / f"{number}.png")
    return root


def load(source, **options):
    defaults = {"loader": None, "side": 32, "seed": 0, "queries_per_identity": 3}
    return data.load("mine", source=source, **defaults | {"cache": source.parent} | options)


def load_arrays(root, **arrays):
    np.savez(root / "faces.npz", **arrays)
    return load(root / "faces.npz")


def nowhere(root):
    data.resolve_source("mine", None, {}, None, root)


def loose(root):
    folder(root / "people", ["alice"])
    load(root / "people" / "alice")


def unreadable(root):
    source = folder(root / "people", "abc")
    (source / "a" / "0.png").write_bytes(b"no picture")
    load(source)


def another_configuration(root):
    run = RunDirectory(root / "mine")
    run.begin(load_config(CONFIG, options_class).to_yaml())
    run.model.touch()
    run.begin(load_config(CONFIG, options_class, ["bits=24"]).to_yaml())


def changed_photos(root):
    source = folder(root / "people", "abc")
    faces = load(source)
    write_split(root / "split.npz", faces, faces.train[:0])
    apply_split(root / "split.npz", load(folder(source, "d")))


PROVOKED = [
    nowhere,
    loose,
    unreadable,
    lambda root: load(folder(root / "people", ["alice"])),
    lambda root: load(folder(root / "people", "abc", photos=1)),
    lambda root: load(folder(root / "people", "abc"), protocol="unseen"),
    lambda root: load_arrays(root, images=IMAGES.transpose(0, 3, 1, 2), labels=LABELS),
    lambda root: load_arrays(root, images=IMAGES / 255, labels=LABELS),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS[1:]),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS, identities=np.array(["a", "b"])),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS.astype(object)),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS, is_query=LABELS == 2),
    another_configuration,
    changed_photos,
]


def test_every_listed_error_is_provoked():
    assert len(LISTED) == len(PROVOKED)


@pytest.mark.parametrize(("listed", "provoke"), list(zip(LISTED, PROVOKED, strict=False)))
def test_it_says_what_the_document_says(listed, provoke, tmp_path):
    with pytest.raises(InputError, match=re.escape(listed)):
        provoke(tmp_path)


def test_the_arrays_of_the_document_load_with_their_own_split(tmp_path):
    is_query = np.arange(12) % 4 == 0
    names = np.array(["alice", "bob", "carol"])
    faces = load_arrays(tmp_path, images=IMAGES, labels=LABELS, identities=names, is_query=is_query)
    assert faces.identities == ("alice", "bob", "carol")
    assert faces.query.tolist() == [0, 4, 8]
