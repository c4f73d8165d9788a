"""A plain script that indexes photos one by one, to compare with `facehash index`.

    python -m benchmarks.photos.sequential_indexing FOLDER FILE.npz [--engine facehash]

By default it follows the samples of OpenCV (FaceDetectorYN, FaceRecognizerSF), which use all cores;
with ``--engine facehash`` it uses the detector and the embedder of this project.
"""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from facehash.images.scan import scan
from facehash.weights.files import find_weights

SCORE, OVERLAP, CANDIDATES = 0.7, 0.3, 5000
Embed = Callable[[Path], Iterator[np.ndarray]]


def by_opencv() -> Embed:
    """Return a function that embeds the faces of a photo with OpenCV only."""
    detector = cv2.FaceDetectorYN.create(
        str(find_weights("yunet").path), "", (320, 320), SCORE, OVERLAP, CANDIDATES
    )
    recognizer = cv2.FaceRecognizerSF.create(str(find_weights("sface").path), "")

    def embed(path: Path) -> Iterator[np.ndarray]:
        image = cv2.imread(str(path))
        detector.setInputSize(image.shape[1::-1])
        _, faces = detector.detect(image)
        for face in () if faces is None else faces:
            yield recognizer.feature(recognizer.alignCrop(image, face))[0]

    return embed


def by_facehash() -> Embed:
    """Return a function that embeds the faces of a photo with the functions of this project."""
    from facehash.images.read import read_image
    from facehash.pipeline import FacePipeline, NoFaceError, default_pipeline

    pipeline = FacePipeline.create(default_pipeline("yunet", "sface"))

    def embed(path: Path) -> Iterator[np.ndarray]:
        with contextlib.suppress(NoFaceError):
            yield from pipeline.embed(read_image(path), path).rows

    return embed


def main() -> None:
    """Index a folder, and write the vectors with the paths of their photos."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--engine", choices=("opencv", "facehash"), default="opencv")
    given = parser.parse_args()
    embed = by_opencv() if given.engine == "opencv" else by_facehash()
    files = sorted(scan(given.folder).files)
    paths, vectors = zip(*((str(path), one) for path in files for one in embed(path)), strict=True)
    np.savez(given.output, vectors=np.stack(vectors), paths=np.array(paths))
    print(f"{len(vectors)} faces")


if __name__ == "__main__":
    main()
