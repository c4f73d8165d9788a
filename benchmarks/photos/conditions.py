"""Measure the errors of the threshold on turned, blurred and small faces.

    python -m benchmarks.photos.conditions --data DIR

DIR has one folder per person, as Labeled Faces in the Wild does. Two photos of each person are
turned, blurred or reduced, and compared with each other and with the unchanged photos by the
threshold of the embedder, which was measured on upright, sharp and large faces:

* *before*: the detector finds upright faces only, and every face found is counted;
* *after*: the default detector, and only faces with enough detail for a verdict are counted.

Blurred and reduced photos are searched for upright faces only, as they are not turned. Their pairs
are also grouped by the effective width of the less detailed face, see `facehash.images.quality`.

The people are of two halves that share nobody. The smallest effective width with a verdict is
chosen on the one (`choose_width`), as were the limits of `facehash.detectors.turned`; all rates are
measured on the other. The result is written to benchmarks/results/conditions.json.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from facehash.calibration.thresholds import threshold_of
from facehash.files import write_json
from facehash.images.face import Face
from facehash.images.quality import effective_width
from facehash.images.read import read_image
from facehash.images.scan import scan
from facehash.pipeline import FacePipeline, default_pipeline

RESULT = Path(__file__).parents[1] / "results" / "conditions.json"
BEFORE = "yunet,tiles=off,turns=off"
_LFW_FACE = 90  # about the median width of a face in a photo of LFW, in pixels
MOST_FALSE_MATCHES = 0.002
"""Share of pairs of two people within the threshold, up to which it gives a verdict."""

_WIDTHS = (0, 6, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30, np.inf)

Image = NDArray[np.uint8]


class Faces(NamedTuple):
    """The faces found in the photos of one condition."""

    rows: NDArray[np.float32]  # (n, d), unit length
    people: NDArray[np.int64]  # (n,)
    photos: NDArray[np.int64]  # (n,)
    widths: NDArray[np.float64]  # (n,), effective, in pixels

    def keep(self, chosen: NDArray[np.bool_]) -> "Faces":
        """Return some of the faces."""
        return Faces(*(one[chosen] for one in self))


def turn(image: Image, degrees: float) -> Image:
    """Turn a photo counterclockwise; what is beyond its edges is mirrored."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, int(degrees) // 90))
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


def reduce(image: Image, width: float) -> Image:
    """Reduce a photo of LFW so that its face is about `width` pixels wide."""
    size = [round(length * width / _LFW_FACE) for length in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def blur(image: Image, deviation: float) -> Image:
    """Blur a photo by a Gaussian of a standard deviation in pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation), np.uint8)


Change = Callable[[Image, float], Image]

CONDITIONS: tuple[tuple[str, Any, tuple[float, ...]], ...] = (
    ("turned by degrees", turn, (0, 15, 30, 45, 60, 90, 135, 180, 270)),
    ("blurred by pixels", blur, (1, 2, 3, 4, 6, 8)),
    ("face width in pixels", reduce, (60, 40, 30, 25, 20, 15, 12)),
)


def find_faces(
    files: list[Path],
    change: Change,
    value: float,
    pipeline: FacePipeline,
) -> Faces:
    """Embed the face nearest to the middle of each changed photo; photos are in pairs."""
    rows, photos, widths = [], [], []
    for number, path in enumerate(files):
        image = change(read_image(path), value)
        found = pipeline.cropper.find(image)
        if found:
            face = min(found, key=lambda one: _off_middle(one, image.shape))
            [crop] = crops = pipeline.cropper.crop_faces(image, [face])
            rows.append(pipeline.embedder.embed(crops)[0])
            photos.append(number)
            widths.append(effective_width(face, crop))
    index = np.array(photos, np.int64)
    return Faces(np.reshape(rows, (len(rows), -1)), index // 2, index, np.array(widths))


def _off_middle(face: Face, shape: tuple[int, ...]) -> float:
    x, y, width, height = face.box
    return float(np.hypot(x + width / 2 - shape[1] / 2, y + height / 2 - shape[0] / 2))


def compare(one: Faces, other: Faces) -> Iterator[NDArray[Any]]:
    """Return distance, whether one person, and the smaller width, of all pairs of two photos."""
    pairs = one.photos[:, None] < other.photos
    if one is not other:
        pairs = one.photos[:, None] != other.photos
    yield (1 - one.rows @ other.rows.T)[pairs]
    yield (one.people[:, None] == other.people)[pairs]
    yield np.minimum(one.widths[:, None], other.widths)[pairs]


def rates(one: Faces, other: Faces, threshold: float) -> dict[str, Any]:
    """Return the errors of a threshold for pairs of faces, None without any pair."""
    distances, same, _ = compare(one, other)
    within = distances <= threshold
    return {
        "false_match_rate": _mean(within[~same]),
        "false_non_match_rate": _mean(~within[same]),
        "impostor_pairs": int((~same).sum()),
        "genuine_pairs": int(same.sum()),
    }


def _mean(values: NDArray[np.bool_]) -> float | None:
    return round(float(values.mean()), 5) if len(values) else None


def halves(people: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the people to choose limits on, and of those to measure on.

    Example:
        >>> halves(8)
        ([1, 4, 6, 7], [0, 2, 3, 5])
    """
    chosen = [number for number in range(people) if number % 3 == 1 or number % 5 == 1]
    return chosen, sorted(set(range(people)) - set(chosen))


def choose_width(groups: list[dict[str, Any]]) -> int:
    """Return the smallest effective width from which every group has few false matches.

    Args:
        groups: By ascending width, see `group`.

    Returns:
        Where the first group starts of those that have a rate of at most 2 in 1,000, as have all
        groups above it.
    """
    smallest = int(groups[-1]["from"])
    for one in reversed(groups):
        if one["false_match_rate"] is None or one["false_match_rate"] > MOST_FALSE_MATCHES:
            break
        smallest = int(one["from"])
    return smallest


def measure(data: Path, people: int, weights_dir: Path | None = None) -> dict[str, Any]:
    """Choose the limit on two photos of each person of one half, and measure the other.

    Args:
        data: One folder per person.
        people: Number of people with two photos, at most, in each half.
        weights_dir: Folder searched first for weights.
    """
    folders: dict[Path, list[Path]] = {}
    for path in sorted(scan(data).files):
        folders.setdefault(path.parent, []).append(path)
    pairs = [photos[:2] for photos in folders.values() if len(photos) > 1]
    chosen, measured = (
        [path for number in half[:people] for path in pairs[number]] for half in halves(len(pairs))
    )
    before, after = (
        FacePipeline.create(default_pipeline(name, "sface", weights_dir))
        for name in (BEFORE, "yunet")
    )
    known = threshold_of(after.embedder.identity)
    if known is None:
        raise RuntimeError("the embedder has no threshold")
    choice = group(
        [list(compare(found, found)) for found in _detailed(chosen, before)], known.distance
    )
    smallest = choose_width(choice)
    print(f"chosen on {len(chosen) // 2} people: {smallest} pixels", flush=True)

    conditions, pooled = [], []
    normal = find_faces(measured, turn, 0, before)
    for kind, change, values in CONDITIONS:
        for value in values:
            upright = change is turn and value == 0
            old = normal if upright else find_faces(measured, change, value, before)
            new = find_faces(measured, change, value, after) if change is turn else old
            clear = new.keep(new.widths >= smallest)
            conditions.append(
                {
                    "condition": kind,
                    "value": value,
                    "effective_width": round(float(np.median(new.widths)), 1),
                    "before": _rates_of(old, normal, known.distance, len(measured)),
                    "after": _rates_of(clear, normal, known.distance, len(measured)),
                }
            )
            print(conditions[-1], flush=True)
            # Turned faces have enough detail; their errors have other causes.
            if change is not turn or upright:
                pooled.append(list(compare(old, old)))
    return {
        "data": data.name,
        "photos": len(measured),
        "people": len(measured) // 2,
        "detector": after.detector.identity,
        "embedder": after.embedder.identity,
        "threshold": known.distance,
        "smallest_effective_width": smallest,
        "choice": {"photos": len(chosen), "people": len(chosen) // 2, "by_effective_width": choice},
        "conditions": conditions,
        "by_effective_width": group(pooled, known.distance),
    }


def _detailed(files: list[Path], pipeline: FacePipeline) -> Iterator[Faces]:
    """Return the faces of unchanged, blurred and reduced photos."""
    yield find_faces(files, turn, 0, pipeline)
    for _, change, values in CONDITIONS:
        for value in values if change is not turn else ():
            yield find_faces(files, change, value, pipeline)


def _rates_of(found: Faces, normal: Faces, threshold: float, photos: int) -> dict[str, Any]:
    return {
        "faces": round(len(found.rows) / photos, 4),
        "both_changed": rates(found, found, threshold),
        "one_changed": rates(found, normal, threshold),
    }


def group(pairs: list[list[NDArray[Any]]], threshold: float) -> list[dict[str, Any]]:
    """Return the errors of a threshold by the effective width of the less detailed face."""
    distances, same, widths = (np.concatenate(part) for part in zip(*pairs, strict=True))
    found = []
    for low, high in zip(_WIDTHS, _WIDTHS[1:], strict=False):
        inside = (widths >= low) & (widths < high)
        within = distances[inside] <= threshold
        found.append(
            {
                "from": low,
                "to": None if high == np.inf else high,
                "false_match_rate": _mean(within[~same[inside]]),
                "false_non_match_rate": _mean(~within[same[inside]]),
                "impostor_pairs": int((~same[inside]).sum()),
                "genuine_pairs": int(same[inside].sum()),
            }
        )
    return found


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photos.conditions", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per person")
    parser.add_argument("--people", type=int, default=60, help="people with two photos, per half")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result = measure(given.data, given.people, given.weights_dir)
    result["machine"] = describe_machine("opencv-python-headless", "numpy")
    write_json(given.output, result)


if __name__ == "__main__":
    main()
