"""A short way to `data.load`, and writers of small data sets."""

import pickle

import numpy as np
from PIL import Image

import data
from facehash.config import DatasetConfig


def load(source, name="mine", cache=None, **options):
    """Load a data set of 16 x 16 images with one query per person, unless `options` differ."""
    options = {"side": 16, "queries_per_identity": 1} | options
    return data.load(DatasetConfig(name=name, **options), source, cache)


def write_picture(path, value=100, size=(40, 40), **options):
    """Write a picture of one grey value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


def write_pickle(path, content, protocol=2):
    """Write a pickle by Python's own pickler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def random_pixels(count, dtype="f4", seed=0):
    """Return (count, 3072) whole numbers from 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072)).astype(dtype)
