"""Measure which faces of large group photos are found, by their size, and what that costs.

    python -m benchmarks.photos.small_faces --data DIR

Faces of DIR (photos of Labeled Faces in the Wild) are reduced and pasted at random places into a
picture of noise, whose power falls with the square of the frequency, or into a mosaic of the edges
of other photos. A face counts as found if the middle of a box is within half its width of it. The
cost is the processor time of decoding and searching a JPEG with three large faces, and with small
faces in all tiles, which is the slowest case.

The score without which a tile is not searched is chosen on faces and photos of one half of the
people; the recall is that of the other half (`benchmarks.photos.conditions.halves`). The result is
written to benchmarks/results/small_faces.json.
"""

import argparse
import io
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from benchmarks.machine import describe_machine
from benchmarks.photos.conditions import halves
from facehash.detectors.base import Detector
from facehash.detectors.registry import Switch
from facehash.detectors.yunet import YuNet
from facehash.files import write_json
from facehash.images.read import decode_image, read_image
from facehash.images.scan import scan

RESULT = Path(__file__).parents[1] / "results" / "small_faces.json"
DETECTORS: tuple[Switch, ...] = ("off", "auto")
SIZES = (35, 45, 55, 70, 90, 120)
PHOTOS = {"24 megapixels": (6000, 4000), "12 megapixels": (4000, 3000)}
FACES = 40  # per photo
HINTS = (0.02, 0.05, 0.1, 0.2)
LOST = 0.005
"""Share of the faces that the chosen hint may lose against the lowest."""

_LFW_FACE = 93  # median width of a face in a photo of LFW, in pixels

Image = NDArray[np.uint8]


def noise(width: int, height: int, rng: np.random.Generator) -> Image:
    """Draw a picture whose power falls with the square of the frequency, as that of photos does."""
    small = (height // 4, width // 4)
    frequency = np.hypot(np.fft.fftfreq(small[0])[:, None], np.fft.rfftfreq(small[1]))
    frequency[0, 0] = np.inf
    grey = np.fft.irfft2(np.fft.rfft2(rng.normal(size=small)) / frequency, small)
    grey = (128 + 40 * grey / grey.std()).astype(np.float32)
    grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(scale=4, size=(height, width)).astype(np.float32)
    return np.clip(grey + grain, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def mosaic(width: int, height: int, files: list[Path], rng: np.random.Generator) -> Image:
    """Fill a picture with the left edges of photos, 40 pixels wide, enlarged four times."""
    picture = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 1000):
        for left in range(0, width, 160):
            edge = read_image(files[rng.integers(len(files))])[:, :40]
            edge = cv2.resize(edge, (160, 1000), interpolation=cv2.INTER_CUBIC)
            part = picture[top : top + 1000, left : left + 160]
            part[:] = edge[: part.shape[0], : part.shape[1]]
    return picture


def paste(
    picture: Image, files: list[Path], size: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Paste faces at random places of a grid into a picture, and return their middles."""
    height, width = picture.shape[:2]
    columns, rows = 10, -(-len(files) // 10)
    middles = []
    for place, path in zip(rng.permutation(columns * rows), files, strict=False):
        scale = size / _LFW_FACE
        face = read_image(path)[40:210, 50:200]
        part = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cell = (width // columns, height // rows)
        x = int(place % columns * cell[0] + rng.integers(max(1, cell[0] - part.shape[1])))
        y = int(place // columns * cell[1] + rng.integers(max(1, cell[1] - len(part))))
        picture[y : y + len(part), x : x + part.shape[1]] = part
        middles.append((x + part.shape[1] / 2, y + len(part) / 2))
    return middles


def count(
    detector: Detector, picture: Image, middles: list[tuple[float, float]], size: int
) -> tuple[int, int]:
    """Return how many faces are found, and how many other boxes."""
    boxes = np.array([face.box for face in detector.detect(picture)]).reshape(-1, 4)
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    near = np.abs(np.array(middles)[:, None] - centers).max(axis=2) < size / 2
    return int(near.any(axis=1).sum()), int((~near.any(axis=0)).sum())


def recall(files: list[Path], detectors: Mapping[str, Detector], seed: int) -> list[dict[str, Any]]:
    """Return the share of faces that each detector finds, by size of photo and face."""
    rng = np.random.default_rng(seed)
    found = []
    for name, (width, height) in PHOTOS.items():
        backgrounds = [noise(width, height, rng), mosaic(width, height, files, rng)]
        for size in SIZES:
            totals = {key: np.zeros(2, int) for key in detectors}
            for background in backgrounds:
                picture = background.copy()
                chosen = [files[i] for i in rng.permutation(len(files))[:FACES]]
                middles = paste(picture, chosen, size, rng)
                for key, detector in detectors.items():
                    totals[key] += count(detector, picture, middles, size)
            row: dict[str, Any] = {"photo": name, "face_width": size}
            row["faces"] = FACES * len(backgrounds)
            for key, (hits, others) in totals.items():
                share = round(float(hits) / row["faces"], 4)
                row[key] = {"recall": share, "other_boxes": int(others)}
            found.append(row)
            print(row, flush=True)
    return found


def choose_hint(
    files: list[Path], seed: int, weights_dir: Path | None = None
) -> tuple[float, list[dict[str, Any]]]:
    """Return the highest score of a hint with hardly fewer faces than the lowest, and the recalls.

    The pictures have 24 megapixels and faces of 35 and 45 pixels, the smallest that are found.
    """
    rng = np.random.default_rng(seed)
    width, height = PHOTOS["24 megapixels"]
    hits = dict.fromkeys(HINTS, 0)
    backgrounds = [noise(width, height, rng), mosaic(width, height, files, rng)]
    for background in backgrounds:
        for size in (35, 45):
            picture = background.copy()
            chosen = [files[i] for i in rng.permutation(len(files))[:FACES]]
            middles = paste(picture, chosen, size, rng)
            for hint in HINTS:
                detector = YuNet(weights_dir=weights_dir, turns="off")
                detector.hint = hint
                hits[hint] += count(detector, picture, middles, size)[0]
    total = 2 * FACES * len(backgrounds)
    found = [{"hint": hint, "recall": round(hits[hint] / total, 4)} for hint in HINTS]
    print(found, flush=True)
    return max(hint for hint in HINTS if hits[hint] >= hits[HINTS[0]] - LOST * total), found


def of_half(data: Path) -> tuple[list[Path], list[Path]]:
    """Return one photo of each person to choose on, and of each person to measure on."""
    folders: dict[Path, Path] = {}
    for path in sorted(scan(data).files):
        folders.setdefault(path.parent, path)
    photos = list(folders.values())
    chosen, measured = ([photos[number] for number in half] for half in halves(len(photos)))
    return chosen, measured


def cost(files: list[Path], detectors: Mapping[str, Detector], turns: int) -> list[dict[str, Any]]:
    """Return the processor time of decoding and searching photos with few and with many faces."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    found = []
    for name, (width, height) in PHOTOS.items():
        background = noise(width, height, rng)
        for kind, number, size in (("3 large faces", 3, 240), ("40 small faces", 40, 55)):
            picture = background.copy()
            paste(picture, files[:number], size, rng)
            file = io.BytesIO()
            Picture.fromarray(picture).save(file, "JPEG", quality=92)
            seconds: dict[str, list[float]] = {"decode": [], **{key: [] for key in detectors}}
            for _ in range(turns):
                file.seek(0)
                start = time.process_time()
                decode_image(file, name)
                seconds["decode"].append(time.process_time() - start)
                for key, detector in detectors.items():
                    start = time.process_time()
                    detector.detect(picture)
                    seconds[key].append(time.process_time() - start)
            middle = {key: statistics.median(times) for key, times in seconds.items()}
            ratio = (middle["decode"] + middle["auto"]) / (middle["decode"] + middle["off"])
            found.append(
                {
                    "photo": name,
                    "content": kind,
                    "milliseconds": {key: round(1e3 * value) for key, value in middle.items()},
                    "ratio": round(ratio, 2),
                }
            )
            print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photos.small_faces", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="photos of LFW")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turns", type=int, default=3, help="repetitions of the cost")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    detectors = {key: YuNet(weights_dir=given.weights_dir, tiles=key) for key in DETECTORS}
    chosen, files = of_half(given.data)
    hint, recalls = choose_hint(chosen, given.seed, given.weights_dir)
    for detector in detectors.values():
        detector.hint = hint
    result = {
        "data": given.data.name,
        "detectors": {key: detector.identity for key, detector in detectors.items()},
        "machine": describe_machine("opencv-python-headless", "numpy"),
        "choice": {"people": len(chosen), "chosen": hint, "hints": recalls},
        "people": len(files),
        "recall": recall(files, detectors, given.seed),
        "cost": cost(files, detectors, given.turns),
    }
    write_json(given.output, result)


if __name__ == "__main__":
    main()
