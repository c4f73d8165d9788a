"""Measures the distance threshold of an embedder on labeled photos, and its error rates.

The threshold is the largest distance at which at most a given share of impostor pairs (two people)
would be accepted (false-match rate). The share of genuine pairs (one person) beyond it is the false
non-match rate. As a check, the threshold is also chosen on each half of the people and tried on the
other half.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Face
from facehash.images.read import read_image
from facehash.images.scan import scan
from facehash.index.exact import ExactIndex
from facehash.pipeline import FacePipeline
from facehash.printing import progress
from facehash.vectors import Rows, Space

_BATCH = 64

Distances = NDArray[np.float64]
Labels = NDArray[np.int64]


class Pairs(NamedTuple):
    """Sorted distances between photos of one person and of two people."""

    genuine: Distances  # float64 (g,), one person
    impostor: Distances  # float64 (i,), two people


def compare_all(rows: Rows, labels: Labels, space: Space) -> Pairs:
    """Compare every pair of rows once, with the index that also searches libraries.

    Args:
        rows: Rows of the space, (n, width).
        labels: int64 (n,), the person of each row.
        space: How they are compared.
    """
    index = ExactIndex.build(rows, np.arange(len(rows)), space)
    genuine, impostor = [], []
    for i in range(len(rows)):
        found = index.search(rows[i : i + 1], len(rows))
        later = found.ids[0] > i
        same = labels[found.ids[0]] == labels[i]
        genuine.append(found.distances[0][later & same])
        impostor.append(found.distances[0][later & ~same])
    return Pairs(np.sort(np.concatenate(genuine)), np.sort(np.concatenate(impostor)))


def threshold_at(impostor: Distances, rate: float) -> float:
    """Return the largest distance that accepts at most a share `rate` of sorted impostor pairs.

    It is half way to the next pair: all distances in between accept the same pairs.
    """
    allowed = int(np.floor(rate * len(impostor)))
    while allowed and impostor[allowed - 1] == impostor[min(allowed, len(impostor) - 1)]:
        allowed -= 1
    below = impostor[allowed - 1] if allowed else 0.0
    return float((below + impostor[allowed]) / 2)


def error_rates(pairs: Pairs, threshold: float) -> dict[str, float]:
    """Return the share of impostor pairs within a threshold and of genuine pairs beyond it."""
    return {
        "false_match_rate": float(np.mean(pairs.impostor <= threshold)),
        "false_non_match_rate": float(np.mean(pairs.genuine > threshold)),
    }


def measure(rows: Rows, labels: Labels, space: Space, rate: float) -> dict[str, Any]:
    """Choose the threshold on all people, and on each half of the people for the other half.

    Args:
        rows: Rows of the space, (n, width).
        labels: int64 (n,), the person of each row.
        space: How they are compared.
        rate: The wanted false-match rate, 0 to 1.
    """
    pairs = compare_all(rows, labels, space)
    threshold = threshold_at(pairs.impostor, rate)
    people = np.random.default_rng(0).permutation(np.unique(labels))
    halves = [np.isin(labels, people[start::2]) for start in (0, 1)]
    parts = [compare_all(rows[half], labels[half], space) for half in halves]
    crossed = []
    for chosen, tried in (parts, parts[::-1]):
        of_half = threshold_at(chosen.impostor, rate)
        crossed.append({"threshold": of_half, **error_rates(tried, of_half)})
    return {
        "photos": len(rows),
        "people": len(people),
        "genuine_pairs": len(pairs.genuine),
        "impostor_pairs": len(pairs.impostor),
        "wanted_false_match_rate": rate,
        "threshold": threshold,
        **error_rates(pairs, threshold),
        "chosen_on_one_half_tried_on_the_other": crossed,
    }


def embed_folder(data: Path, pipeline: FacePipeline) -> tuple[Rows, Labels, int]:
    """Embed the face nearest to the middle of each photo, the person whom the photo is of.

    Args:
        data: A folder with one folder per person.
        pipeline: Finds and embeds faces.

    Returns:
        Rows (n, width); labels int64 (n,); the number of photos without a face.
    """
    files = list(scan(data).files)
    names = sorted({path.parent.name for path in files})
    crops, labels, rows, without_face = [], [], [], 0
    for path in progress(files, desc="photos"):
        image = read_image(path)
        faces = pipeline.cropper.find(image)
        if not faces:
            without_face += 1
            continue
        face = min(faces, key=lambda one: _distance_from_middle(one, image.shape))
        crops += list(pipeline.cropper.crop_faces(image, [face]))
        labels.append(names.index(path.parent.name))
        if len(crops) == _BATCH:
            rows.append(pipeline.embedder.embed(np.stack(crops)))
            crops.clear()
    if crops:
        rows.append(pipeline.embedder.embed(np.stack(crops)))
    return np.concatenate(rows), np.array(labels, np.int64), without_face


def _distance_from_middle(face: Face, shape: tuple[int, ...]) -> float:
    x, y, width, height = face.box
    return float(np.hypot(x + width / 2 - shape[1] / 2, y + height / 2 - shape[0] / 2))
