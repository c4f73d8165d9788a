"""YouTube Faces and FaceScrub as the authors of DDH share them: folders of Python 2 pickles."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.conversion import Block, SourceError
from data.labeled_images import KNOWN_OR_QUERY, FacesFileError, Role, integer_labels
from data.pickles import load_pickle
from facehash.dataset import IndexArray
from facehash.images.passed_over import PassedOver
from facehash.images.read import resize
from facehash.printing import progress

PICKLED_SIDE = 32
WIDTH = 3 * PICKLED_SIDE * PICKLED_SIDE
FOLDERS = (
    ("train_vec_folder_32_32", "test_vec_folder_32_32"),
    ("train_folder_facescrub", "test_folder_facescrub"),
)
"""Names of the training and the test folder of YouTube Faces and of FaceScrub."""

NEARLY_BLACK = 2
"""If no pixel of a data set exceeds this value, a warning says that the scale is probably wrong."""

_ROWS = 512

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PickledFaces:
    """The conversion of such folders: training rows first, then test rows, files sorted by name.

    Each file contains ``(x, y)``. x (n, 3072) are the red, the green, then the blue 32 x 32 plane
    of n images, integer or float, 0 to 255; y are their n integer labels. If x is float and no
    value of the whole data set exceeds 1, the values are scaled by 255. Fractions are rounded to
    the nearest integer, halves to the even one.
    """

    root: Path  # the folder that contains the two folders
    side: int = PICKLED_SIDE  # of the converted images, which are resized if it is not 32
    loader = "ddh_pickles"
    passed_over = PassedOver()  # a file that is no pickle is an error

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All files, the training files first."""
        return tuple(path for part in self._parts for path in part)

    @cached_property
    def _parts(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        for train, test in FOLDERS:
            if (self.root / train).is_dir() and (self.root / test).is_dir():
                return _files(self.root / train), _files(self.root / test)
        wanted = " or ".join(f"{train} and {test}" for train, test in FOLDERS)
        raise SourceError(f"{self.root}: expected the folders {wanted}")

    def blocks(self) -> Iterator[Block]:
        """Read file by file.

        Raises:
            PickleError: A file that is not a pickle of arrays.
            FacesFileError: x or y is invalid.
        """
        scale = self._scale()
        brightest = 0
        with progress(total=len(self.files), desc="converting", unit=" files", delay=1) as bar:
            for role, paths in zip(KNOWN_OR_QUERY, self._parts, strict=True):
                for path in paths:
                    for block in self._file_blocks(path, role, scale):
                        brightest = max(brightest, int(block.images.max()))
                        yield block
                    bar.update()
        if brightest <= NEARLY_BLACK:
            log.warning(
                "%s: the brightest pixel of all images is %d of 255: the range of the values seems "
                "to be neither 0 to 255 nor 0 to 1",
                *(self.root, brightest),
            )

    # A separate function, so that the rows of a file are freed before the next file is read.
    def _file_blocks(self, path: Path, role: Role, scale: float) -> Iterator[Block]:
        pixels, labels = _read(path)
        for start in range(0, len(labels), _ROWS):
            rows = slice(start, start + _ROWS)
            images = _to_images(path, pixels[rows], scale)
            if self.side != PICKLED_SIDE:
                images = np.stack([resize(image, self.side) for image in images])
            yield Block(images, labels[rows].tolist(), role)

    def _scale(self) -> float:
        """Choose the factor for float values, one for the whole data set.

        A dark file among bright ones must not be scaled, so every file counts. Reading stops at
        the first value above 1, usually in the first file.
        """
        for path in self.files:
            if not _is_float_up_to_1(path):
                return 1.0
        log.info("%s: no value exceeds 1: the values are scaled by 255", self.root)
        return 255.0


def _is_float_up_to_1(path: Path) -> bool:
    pixels, _ = _read(path)
    return pixels.dtype.kind == "f" and not pixels.max(initial=0) > 1


def _files(folder: Path) -> tuple[Path, ...]:
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
    )
    if not files:
        raise SourceError(f"{folder}: is empty, expected pickles of (x, y)")
    return tuple(files)


def _read(path: Path) -> tuple[NDArray[Any], IndexArray]:
    content = load_pickle(path)
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise FacesFileError(f"{path}: contains {_describe(content)}, expected a tuple (x, y)")
    pixels, labels = content
    if not isinstance(pixels, np.ndarray) or pixels.dtype.kind not in "iuf":
        raise FacesFileError(f"{path}: x is {_describe(pixels)}, expected an array of numbers")
    if pixels.ndim != 2 or pixels.shape[1] != WIDTH:
        raise FacesFileError(
            f"{path}: x has shape {pixels.shape}, expected (n, {WIDTH}): "
            f"3 x {PICKLED_SIDE} x {PICKLED_SIDE} pixels per row"
        )
    numbers = integer_labels(str(path), labels)
    if len(numbers) != len(pixels):
        raise FacesFileError(
            f"{path}: x has {len(pixels)} rows but y has {len(numbers)} labels; they must be equal"
        )
    return pixels, numbers


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    length = f" of {len(value)}" if isinstance(value, list | tuple) else ""
    return f"a {type(value).__name__}{length}"


def _to_images(path: Path, pixels: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    """Check some rows and turn (k, 3072) into uint8 (k, 32, 32, 3)."""
    smallest, largest = pixels.min(), pixels.max()
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        raise FacesFileError(f"{path}: x contains NaN or infinity")
    if smallest < 0 or largest * scale > 255:
        raise FacesFileError(
            f"{path}: x has values from {smallest} to {largest}, expected 0 to 255 (or 0 to 1)"
        )
    if pixels.dtype.kind == "f":
        pixels = np.rint(pixels * np.asarray(scale, pixels.dtype))
    planes = pixels.astype(np.uint8).reshape(-1, 3, PICKLED_SIDE, PICKLED_SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
