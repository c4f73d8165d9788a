"""Every error that docs/own_data.md lists is provoked here."""

import errno
import re
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

import data
from experiments.run.leaks import check_leaks
from facehash.config import DatasetConfig, load_config
from facehash.errors import InputError
from facehash.methods import options_class
from facehash.runs.directory import RunDirectory
from facehash.runs.files import apply_split, write_split
from facehash.runs.fingerprint import picture_hashes, record_pictures
from tests.conftest import ROOT
from tests.helpers import datasets
from tests.helpers.datasets import write_picture

CONFIG = ROOT / "configs" / "ddh" / "folders.yaml"
TEXT = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
ERRORS = re.search("<!-- begin errors -->(.*)<!-- end errors -->", TEXT, re.DOTALL)[1]
LISTED = re.findall(r"^\| `([^|]+)` \|", ERRORS, re.MULTILINE)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = np.repeat(np.arange(3), 4)


def folder(root, people, photos=5):
    """Make a folder with the given number of photos of each person."""
    for person in people:
        for number in range(photos):
            write_picture(root / person / f"{number}.png", 20 * number)
    return root


def load(source, **options):
    options = {"side": 32, "queries_per_identity": 3} | options
    return datasets.load(source, cache=source.parent, **options)


def load_arrays(root, **arrays):
    np.savez(root / "faces.npz", **arrays)
    return load(root / "faces.npz")


def load_list(root, *lines, **options):
    for number in range(5):
        write_picture(root / f"{number}.png", 20 * number)
    (root / "faces.csv").write_text("\n".join(lines))
    return load(root / "faces.csv", **options)


def nowhere(root):
    data.find_source(DatasetConfig(name="mine"), None, root)


def loose(root):
    folder(root / "people", ["alice"])
    load(root / "people" / "alice")


def flat_parts(root):
    for part in ("train", "test"):
        write_picture(root / "people" / part / "alice.png")
    load(root / "people")


def unreadable(root):
    source = folder(root / "people", "abc")
    (source / "a" / "0.png").write_bytes(b"no picture")
    load(source)


def full_disk(root):
    with mock.patch("data.cache.write_faces", side_effect=OSError(errno.ENOSPC, "full")):
        load(folder(root / "people", "abc"))


def another_configuration(root):
    run = RunDirectory(root / "mine")
    config = load_config(CONFIG, options_class).to_yaml()
    with run.begin(config):
        run.prepare(config)
        run.model.touch()
    with run.begin(load_config(CONFIG, options_class, ["bits=24"]).to_yaml()):
        pass


def changed_photos(root):
    source = folder(root / "people", "abc")
    faces = load(source)
    write_split(root / "split.npz", faces, faces.train[:0])
    apply_split(root / "split.npz", load(folder(source, "d")))


def trained_on(root):
    faces = load_arrays(root, images=IMAGES, labels=LABELS)
    hashes = picture_hashes(faces.images, faces.query)
    model = SimpleNamespace(trained_people=set("012"), training_images=record_pictures(hashes))
    check_leaks("model.keras", model, faces)


PROVOKED = [
    nowhere,
    loose,
    flat_parts,
    lambda root: load(folder(root / "people" / "train", "abc").parent),
    unreadable,
    lambda root: load(folder(root / "people", ["alice"])),
    lambda root: load_list(root, "a.png 1 0 0"),
    lambda root: load_list(root, "path,who", "a.png,Ann"),
    lambda root: load_list(
        root,
        *"0.png,a,train 1.png,b,train 2.png,c,query 3.png,c,query 4.png,d,query".split(),
        protocol="leave_one_out",
    ),
    lambda root: load(folder(root / "people", "abc", photos=1)),
    lambda root: load(folder(root / "people", "abc"), protocol="unseen"),
    lambda root: load_arrays(root, images=IMAGES.transpose(0, 3, 1, 2), labels=LABELS),
    lambda root: load_arrays(root, images=IMAGES / 255, labels=LABELS),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS[1:]),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS, identities=np.array(["a", "b"])),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS.astype(object)),
    lambda root: load_arrays(root, images=IMAGES, labels=LABELS, is_query=LABELS == 2),
    another_configuration,
    trained_on,
    changed_photos,
    full_disk,
]


@pytest.mark.parametrize(("listed", "provoke"), list(zip(LISTED, PROVOKED, strict=True)))
def test_it_is_reported_in_the_words_of_the_document(listed, provoke, tmp_path):
    with pytest.raises(InputError, match=re.escape(listed)):
        provoke(tmp_path)
