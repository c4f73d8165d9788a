"""Measure the errors of the threshold on turned, blurred and small faces.

    python -m benchmarks.photos.conditions --data DIR

DIR has one folder per person, as Labeled Faces in the Wild does. Two photos of each of the first
people are turned, blurred or reduced, and compared with each other and with the unchanged photos
by the threshold of the embedder, which was measured on upright, sharp and large faces:

* *before*: the detector finds upright faces only, and every face found is counted;
* *after*: the default detector, and only faces with enough detail for a verdict are counted.

Blurred and reduced photos are searched for upright faces only, as they are not turned. Their pairs
are also grouped by the effective width of the less detailed face, see `facehash.images.quality`.
`--cache DIR` keeps the vectors of each condition, so that an interrupted run continues. The result
is written to benchmarks/results/conditions.json.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from facehash.calibration.thresholds import SMALLEST, threshold_of
from facehash.files import write_json
from facehash.images.face import Face
from facehash.images.quality import effective_width
from facehash.images.read import read_image
from facehash.images.scan import scan
from facehash.pipeline import FacePipeline, default_pipeline

RESULT = Path(__file__).parents[1] / "results" / "conditions.json"
BEFORE = "yunet,tiles=off,turns=off"
_LFW_FACE = 90  # about the median width of a face in a photo of LFW, in pixels
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


def cached(file: Path | None, find: Callable[[], Faces]) -> Faces:
    """Return the faces stored in a file, or find and store them."""
    if file is None:
        return find()
    if not file.exists():
        np.savez(file, **find()._asdict())
    with np.load(file) as stored:
        return Faces(*(stored[name] for name in Faces._fields))


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


def measure(
    data: Path, people: int, weights_dir: Path | None = None, cache: Path | None = None
) -> dict[str, Any]:
    """Measure all conditions on two photos of each person."""
    folders: dict[Path, list[Path]] = {}
    for path in sorted(scan(data).files):
        folders.setdefault(path.parent, []).append(path)
    files = [path for photos in folders.values() if len(photos) > 1 for path in photos[:2]]
    files = files[: 2 * people]
    before, after = (
        FacePipeline.create(default_pipeline(name, "sface", weights_dir))
        for name in (BEFORE, "yunet")
    )
    known = threshold_of(after.embedder.identity)
    if known is None:
        raise RuntimeError("the embedder has no threshold")

    def faces(pipeline: FacePipeline, change: Any, value: float) -> Faces:
        name = f"{'before' if pipeline is before else 'after'}-{change.__name__}-{value:g}.npz"
        file = cache / name if cache else None
        return cached(file, lambda: find_faces(files, change, value, pipeline))

    conditions, pooled = [], []
    normal = faces(before, turn, 0)
    for kind, change, values in CONDITIONS:
        for value in values:
            old = faces(before, change, value)
            new = faces(after, change, value) if change is turn else old
            clear = new.keep(new.widths >= SMALLEST)
            conditions.append(
                {
                    "condition": kind,
                    "value": value,
                    "effective_width": round(float(np.median(new.widths)), 1),
                    "before": _rates_of(old, normal, known.distance, len(files)),
                    "after": _rates_of(clear, normal, known.distance, len(files)),
                }
            )
            print(conditions[-1], flush=True)
            # Turned faces have enough detail; their errors have other causes.
            if change is not turn or value == 0:
                pooled.append(list(compare(old, old)))
    return {
        "data": data.name,
        "photos": len(files),
        "people": len(files) // 2,
        "detector": after.detector.identity,
        "embedder": after.embedder.identity,
        "threshold": known.distance,
        "smallest_effective_width": SMALLEST,
        "conditions": conditions,
        "by_effective_width": group(pooled, known.distance),
    }


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
    parser.add_argument("--people", type=int, default=100, help="people with two photos each")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--cache", type=Path, help="keep the vectors here, or reuse them")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.cache:
        given.cache.mkdir(exist_ok=True)
    result = measure(given.data, given.people, given.weights_dir, given.cache)
    result["machine"] = describe_machine("opencv-python-headless", "numpy")
    write_json(given.output, result)


if __name__ == "__main__":
    main()
