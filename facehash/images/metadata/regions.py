"""Regions of people in a photo, as other programs store them, and the orientation of the photo.

A region is measured in shares of the width and height of the picture. The picture is the stored
one, before its EXIF orientation is applied: so says the Metadata Working Group (*Guidelines for
Handling Image Metadata*, version 2.0, Image Regions), and so do digiKam and Lightroom. Some
programs measured the upright picture instead, see `Region.upright_boxes`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from facehash.images.face import Box

LARGEST_NUMBER = 1_000
"""More regions than this in one photo are not the faces of people."""

_TOLERANCE = 0.03
"""Proportions of two pictures that differ by less are the same up to a few rows or columns."""


@dataclass(frozen=True)
class Region:
    """A named part of a photo."""

    name: str
    # x, y, width and height as shares of the width and height of the picture, from 0 to 1. A
    # region without width and height is a point.
    box: Box
    # Width and height, in pixels, of the picture on which the region was drawn.
    drawn_on: tuple[float, float] | None = None

    def upright_boxes(
        self, size: tuple[int, int], orientation: int
    ) -> tuple[Box | None, Box | None]:
        """Return the region in the upright photo, in two readings.

        Args:
            size: Width and height of the stored picture in pixels.
            orientation: Its EXIF orientation, 1 to 8.

        Returns:
            The box if the region measures the stored picture, as it should, and if it measures the
            upright one; in shares of the upright photo. None where the proportions of `drawn_on`
            contradict the reading.

        Example:
            >>> Region("Ann", (0, 0, 0.5, 0.25), (400, 300)).upright_boxes((4000, 3000), 6)
            ((0.75, 0, 0.25, 0.5), None)
        """
        width, height = size
        shown = (height, width) if orientation >= 5 else size
        return (
            turn_upright(self.box, orientation) if _same_shape(self.drawn_on, size) else None,
            self.box if _same_shape(self.drawn_on, shown) else None,
        )


@dataclass(frozen=True)
class PhotoPeople:
    """What a program says about the people in a photo."""

    regions: tuple[Region, ...] = ()
    names: tuple[str, ...] = ()  # of people somewhere in the photo
    problems: tuple[str, ...] = ()  # what could not be understood, one line each

    def __bool__(self) -> bool:
        return bool(self.regions or self.names or self.problems)

    @classmethod
    def join(cls, parts: Iterable["PhotoPeople"]) -> "PhotoPeople":
        """Return what several sources say; of regions at the same place, the first one counts.

        A name that a region has is not repeated as a name without a region.
        """
        regions: list[Region] = []
        names: dict[str, None] = {}
        problems: list[str] = []
        for part in parts:
            earlier = tuple(regions)
            regions += [
                one for one in part.regions if not any(_same_place(one, old) for old in earlier)
            ]
            names |= dict.fromkeys(part.names)
            problems += part.problems
        placed = {one.name for one in regions}
        rest = tuple(name for name in names if name not in placed)
        return cls(tuple(regions), rest, tuple(problems))


def turn_upright(box: Box, orientation: int) -> Box:
    """Return a box of the stored picture in the upright photo; both in shares of their sides.

    Args:
        box: x, y, width and height, 0 to 1.
        orientation: The EXIF orientation, 1 to 8.
    """
    x, y, width, height = box
    right, below = 1 - x - width, 1 - y - height
    if orientation >= 5:
        # Row and column are exchanged.
        width, height = height, width
    left, top = {
        2: (right, y),
        3: (right, below),
        4: (x, below),
        5: (y, x),
        6: (below, x),
        7: (below, right),
        8: (y, right),
    }.get(orientation, (x, y))
    return left, top, width, height


def turn_back(box: Box, orientation: int) -> Box:
    """Return a box of the upright photo in the stored picture; the inverse of `turn_upright`.

    Example:
        >>> turn_back(turn_upright((0.125, 0.25, 0.25, 0.5), 7), 7)
        (0.125, 0.25, 0.25, 0.5)
    """
    # Only the two quarter turns are not their own inverses.
    return turn_upright(box, {6: 8, 8: 6}.get(orientation, orientation))


def clipped(x: float, y: float, width: float, height: float) -> Box | None:
    """Return a box without what lies outside the picture, or None if nothing usable is left.

    Args:
        x: Left edge as a share of the width, as are all arguments.
        y: Upper edge.
        width: 0 for a point.
        height: 0 for a point.
    """
    if not all(math.isfinite(one) for one in (x, y, width, height)) or width < 0 or height < 0:
        return None
    left, right = max(0.0, x), min(1.0, x + width)
    top, bottom = max(0.0, y), min(1.0, y + height)
    if left > right or top > bottom or ((right == left or bottom == top) and width + height > 0):
        return None
    return left, top, right - left, bottom - top


def _same_shape(first: tuple[float, float] | None, second: tuple[int, int]) -> bool:
    """Return whether two pictures have the same proportions; an unknown size fits any."""
    if first is None:
        return True
    ratio = (first[0] / first[1]) * (second[1] / second[0])
    return 1 - _TOLERANCE < ratio < 1 / (1 - _TOLERANCE)


def _same_place(first: Region, second: Region) -> bool:
    """Return whether two regions mean the same face."""
    (x, y, width, height), (u, v, right, below) = first.box, second.box
    across = min(x + width, u + right) - max(x, u)
    down = min(y + height, v + below) - max(y, v)
    if across < 0 or down < 0:
        return False
    common = across * down
    union = width * height + right * below - common
    return common >= union / 2
