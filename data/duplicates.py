"""The same picture twice: in one person, across people, between gallery and query.

Pictures are the same if their pixels are, once they are decoded and resized to ``dataset.side``:
copies of a file and files in another lossless format, but not a photo compressed again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.labeled_images import LabeledImages, Role
from facehash.dataset import FaceDataset, IndexArray
from facehash.runs.fingerprint import Hashes, picture_hashes


@dataclass(frozen=True)
class Duplicates:
    """The images that ``dataset.duplicates: drop`` drops.

    Of a picture that occurs several times in one person, the first training or gallery image
    stays, in the order of the data; a query stays only if there is no such image. Training set
    and gallery may share a picture where the data comes with both. Of a picture that occurs in
    several people, nothing stays: at least one of the labels is wrong, and the pixels do not say
    which.
    """

    same_person: NDArray[np.bool_]  # (n,): another image of the person shows the picture and stays
    across_people: NDArray[np.bool_]  # (n,): an image of another person shows the picture

    @property
    def dropped(self) -> NDArray[np.bool_]:
        """Bool (n,): all of them."""
        return self.same_person | self.across_people

    def counts(self) -> dict[str, int]:
        """Return the number of each; no image counts in both."""
        return {
            "same_person": int(self.same_person.sum()),
            "across_people": int(self.across_people.sum()),
        }


def find_duplicates(
    hashes: Hashes, labels: IndexArray, roles: NDArray[np.uint8] | None = None
) -> Duplicates:
    """Find the images that show the same picture as another one.

    Args:
        hashes: uint64 (n,) of `picture_hashes`.
        labels: int64 (n,), the person of each image.
        roles: uint8 (n,) of `Role` for data that comes split; images without a role are ignored.

    Example:
        >>> hashes = np.array([5, 5, 6, 7, 7], np.uint64)
        >>> found = find_duplicates(hashes, np.array([0, 0, 0, 0, 1]))
        >>> found.same_person.tolist()
        [False, True, False, False, False]
        >>> found.across_people.tolist()
        [False, False, False, True, True]
    """
    if roles is None:
        roles = np.full(len(labels), Role.TRAIN | Role.GALLERY, np.uint8)
    used = roles > 0
    _, picture = np.unique(hashes, return_inverse=True)
    last = np.full(picture.max(initial=-1) + 1, -1)
    first = np.full(len(last), np.iinfo(np.int64).max)
    np.maximum.at(last, picture[used], labels[used])
    np.minimum.at(first, picture[used], labels[used])
    across = used & (first != last)[picture]
    stays = np.zeros(len(labels), np.bool_)
    for role in (Role.TRAIN, Role.GALLERY, Role.QUERY):
        rows = np.flatnonzero(roles & role)
        covered = stays if role is Role.QUERY else stays & (roles & role > 0)
        rows = rows[~np.isin(picture[rows], picture[covered])]
        stays[rows[np.unique(picture[rows], return_index=True)[1]]] = True
    return Duplicates(used & ~across & ~stays, across)


def count_in_images(faces: LabeledImages) -> dict[str, int]:
    """Count duplicates before roles are assigned.

    Returns:
        ``same_person`` and ``across_people``, see `Duplicates`; for data that comes split also
        ``gallery_and_query``: the number of queries whose picture is in the gallery as well.
    """
    hashes = picture_hashes(faces.items, np.arange(len(faces.labels)))
    counts = find_duplicates(hashes, faces.labels, faces.roles).counts()
    if faces.roles is not None:
        gallery, query = (np.flatnonzero(faces.roles & role) for role in (Role.GALLERY, Role.QUERY))
        counts["gallery_and_query"] = _count_in_both(hashes, gallery, query)
    return counts


def count_in_dataset(dataset: FaceDataset) -> dict[str, int]:
    """Count the duplicates among the images that have a role.

    Returns:
        ``same_person`` and ``across_people``, see `Duplicates`, and ``gallery_and_query``: the
        number of queries whose picture is in the gallery as another image.
    """
    roles = np.zeros(len(dataset.labels), np.uint8)
    for role in Role:
        roles[getattr(dataset, str(role.name).lower())] |= np.uint8(role)
    rows = np.flatnonzero(roles)
    hashes = np.zeros(len(roles), np.uint64)
    hashes[rows] = picture_hashes(dataset.items, rows)
    return {
        **find_duplicates(hashes, dataset.labels, roles).counts(),
        "gallery_and_query": _count_in_both(hashes, dataset.gallery, dataset.query),
    }


def describe_duplicates(counts: dict[str, int]) -> str:
    """Describe counts as one line; empty without any."""
    words = {
        "same_person": "in one person",
        "across_people": "in several people",
        "gallery_and_query": "in gallery and queries",
    }
    found = [f"{count:,} {words[key]}" for key, count in counts.items() if count]
    return ", ".join(found)


def _count_in_both(hashes: Hashes, gallery: IndexArray, query: IndexArray) -> int:
    """Count the queries whose picture is in the gallery, apart from the query itself."""
    pictures, counts = np.unique(hashes[gallery], return_counts=True)
    if not len(pictures):
        return 0
    place = np.searchsorted(pictures, hashes[query]).clip(max=len(pictures) - 1)
    copies = np.where(pictures[place] == hashes[query], counts[place], 0)
    return int(np.count_nonzero(copies - np.isin(query, gallery) > 0))
