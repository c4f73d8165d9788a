"""Measure at which distance an embedder's faces count as two people, and how often that errs.

    python -m benchmarks.verification --data DIR
    python -m benchmarks.verification --data DIR \
        --embedder keras:facenet_128.keras,size=160,normalization=per_image

DIR holds one folder a person, as Labeled Faces in the Wild does. Of each photo the face nearest to
the middle is taken, whom the photo is of. Every pair of photos is compared: pairs of one person
(genuine) and of two (impostor). The threshold is the largest distance at which at most the stated
share of impostor pairs would be taken for one person (false-match rate). Reported are the share of
genuine pairs beyond it (false non-match rate), and, as a check, what both rates are on people on
whom the threshold was not chosen: it is chosen on each half of the people and tried on the other.

Read the numbers with care: pairs are not independent, since each photo is in thousands of them;
several photos are from one occasion; and an embedder may have been trained on these very people.
The result goes to benchmarks/results/verification.json, and the threshold from there, by hand and
rounded, to facehash/calibration/thresholds.py; a test sees that they agree.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facehash.files import write_json
from facehash.images.face import Face
from facehash.images.read import read_image
from facehash.images.scan import scan
from facehash.index.exact import ExactIndex
from facehash.pipeline import FacePipeline, default_pipeline
from facehash.vectors import Space

RESULT = Path(__file__).parents[1] / "results" / "verification.json"
_BATCH = 64

Distances = NDArray[np.float64]


class Pairs(NamedTuple):
    """Distances between photos of one person, and of two.

    Attributes:
        genuine: float64 (g,), sorted.
        impostor: float64 (i,), sorted.
    """

    genuine: Distances
    impostor: Distances


def pairs(rows: np.ndarray, labels: np.ndarray, space: Space) -> Pairs:
    """Compare every row with every other, once, by the very code that searches.

    Args:
        rows: Rows of the space, (n, width).
        labels: Integers (n,), who each row is.
        space: How they are compared.
    """
    index = ExactIndex.build(rows, np.arange(len(rows)), space)
    kinds: tuple[list[Distances], list[Distances]] = ([], [])
    for i in range(len(rows)):
        found = index.search(rows[i : i + 1], len(rows))
        later = found.ids[0] > i
        same = labels[found.ids[0]] == labels[i]
        for kind, chosen in zip(kinds, (same, ~same), strict=True):
            kind.append(found.distances[0][later & chosen])
    return Pairs(*(np.sort(np.concatenate(kind)) for kind in kinds))


def threshold_at(impostor: Distances, rate: float) -> float:
    """Return the largest distance that at most a share `rate` of sorted impostor pairs keeps to.

    Half way to the next pair, as any distance in between does the same.
    """
    allowed = int(np.floor(rate * len(impostor)))
    while allowed and impostor[allowed - 1] == impostor[min(allowed, len(impostor) - 1)]:
        allowed -= 1
    below = impostor[allowed - 1] if allowed else 0.0
    return float((below + impostor[allowed]) / 2)


def rates(found: Pairs, threshold: float) -> dict[str, float]:
    """Return the share of impostor pairs within a threshold and of genuine pairs beyond it."""
    return {
        "false_match_rate": float(np.mean(found.impostor <= threshold)),
        "false_non_match_rate": float(np.mean(found.genuine > threshold)),
    }


def measure(rows: np.ndarray, labels: np.ndarray, space: Space, rate: float) -> dict[str, object]:
    """Choose the threshold on everybody, and on each half of the people for the other."""
    everybody = pairs(rows, labels, space)
    threshold = threshold_at(everybody.impostor, rate)
    people = np.random.default_rng(0).permutation(np.unique(labels))
    halves = [np.isin(labels, people[start::2]) for start in (0, 1)]
    parts = [pairs(rows[half], labels[half], space) for half in halves]
    crossed = []
    for chosen, tried in (parts, parts[::-1]):
        of_half = threshold_at(chosen.impostor, rate)
        crossed.append({"threshold": of_half, **rates(tried, of_half)})
    return {
        "photos": len(rows),
        "people": len(people),
        "genuine_pairs": len(everybody.genuine),
        "impostor_pairs": len(everybody.impostor),
        "wanted_false_match_rate": rate,
        "threshold": threshold,
        **rates(everybody, threshold),
        "chosen_on_one_half_tried_on_the_other": crossed,
    }


def embed_folder(data: Path, pipeline: FacePipeline) -> tuple[np.ndarray, np.ndarray, int]:
    """Embed the middle face of each photo: rows, labels, and how many photos had no face."""
    files = list(scan(data).files)
    names = sorted({path.parent.name for path in files})
    crops, labels, rows, missed = [], [], [], 0
    for path in tqdm(files, desc="photos", disable=None):
        image = read_image(path)
        faces = pipeline.cropper.find(image)
        if not faces:
            missed += 1
            continue
        face = min(faces, key=lambda one: _off_centre(one, image.shape))
        crops += list(pipeline.cropper.crop_faces(image, [face]))
        labels.append(names.index(path.parent.name))
        if len(crops) == _BATCH:
            rows.append(pipeline.embedder.embed(np.stack(crops)))
            crops.clear()
    if crops:
        rows.append(pipeline.embedder.embed(np.stack(crops)))
    return np.concatenate(rows), np.array(labels), missed


def _off_centre(face: Face, shape: tuple[int, ...]) -> float:
    x, y, width, height = face.box
    return float(np.hypot(x + width / 2 - shape[1] / 2, y + height / 2 - shape[0] / 2))


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="one folder a person")
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--embedder", default="sface")
    parser.add_argument("--false-match-rate", type=float, default=1e-3)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    pipeline = FacePipeline.create(default_pipeline(given.detector, given.embedder))
    rows, labels, missed = embed_folder(given.data, pipeline)
    space = Space(pipeline.embedder.metric, pipeline.embedder.dimension)
    result = {
        "detector": pipeline.detector.identity,
        "embedder": pipeline.embedder.identity,
        "metric": space.metric,
        "data": given.data.name,
        "photos_without_a_face": missed,
        **measure(rows, labels, space, given.false_match_rate),
    }
    known = json.loads(given.output.read_text("utf-8")) if given.output.exists() else {}
    # Without where the weights lie on this machine.
    name = re.sub("[:,]sha256=.*", "", pipeline.embedder.identity)
    write_json(given.output, known | {name: result})
    for key, value in result.items():
        print(f"{key:<38} {value}")
