"""Data sets of faces for research. `load` returns a checked `facehash.dataset.FaceDataset`."""

from data.loading import KNOWN, LOADERS, choose_loader, find_source, load, load_images
from data.orl import find_orl

__all__ = ["KNOWN", "LOADERS", "choose_loader", "find_orl", "find_source", "load", "load_images"]
