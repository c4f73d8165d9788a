import itertools

import numpy as np
import pytest

from facehash.images.metadata.matching import match_regions

FACES = [(100, 100, 40, 50), (160, 100, 40, 50)]


def test_a_region_larger_than_the_face_means_it():
    assert match_regions([(85, 70, 70, 95), (145, 70, 70, 95)], FACES) == {0: 0, 1: 1}
    # And a smaller one, such as the eyes to the mouth.
    assert match_regions([(172, 115, 18, 24)], FACES) == {0: 1}
    assert match_regions([(120, 125, 0, 0)], FACES) == {0: 0}  # a point in the face


def test_a_region_elsewhere_or_around_a_group_means_no_face():
    assert match_regions([(300, 100, 40, 50), (0, 0, 10, 10), (210, 100, 0, 0)], FACES) == {}
    assert match_regions([(80, 60, 140, 130)], FACES) == {}
    # Beside the face, with only its edge inside.
    assert match_regions([(130, 100, 25, 50)], FACES) == {}
    assert match_regions([], FACES) == match_regions(FACES, []) == {}


def test_each_face_gets_one_region_and_the_nearer_one():
    head, body = (92, 85, 56, 70), (80, 80, 80, 110)
    assert match_regions([body, head], FACES[:1]) == {1: 0}
    assert match_regions([FACES[0], FACES[0]], FACES) in ({0: 0}, {1: 0})


def test_boxes_that_overlap_by_half_match_wherever_their_middles_are():
    assert match_regions([(0, 0, 100, 10)], [(0, 0, 55, 10)]) == {0: 0}


def score(region, face):
    """Return the overlap, by pixels; None if neither contains the other's middle."""
    grid = np.zeros((2, 64, 64), bool)
    for one, (x, y, width, height) in zip(grid, (region, face), strict=True):
        one[y : y + height, x : x + width] = True
    overlap = (grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum()

    def holds(box, point):
        return box[0] <= point[0] <= box[0] + box[2] and box[1] <= point[1] <= box[1] + box[3]

    middles = [(x + w / 2, y + h / 2) for x, y, w, h in (region, face)]
    mutual = holds(region, middles[1]) and holds(face, middles[0])
    return overlap if mutual or overlap >= 0.5 else None


@pytest.mark.parametrize("seed", range(20))
def test_the_assignment_has_the_largest_overlap_of_all(seed):
    rng = np.random.default_rng(seed)
    regions, faces = (
        [(*map(int, rng.integers(0, 20, 2)), *map(int, rng.integers(12, 40, 2))) for _ in range(n)]
        for n in (3, 4)
    )
    scores = [[score(region, face) for face in faces] for region in regions]

    def total(pairs):
        found = [scores[region][face] for region, face in pairs if face is not None]
        return -1 if None in found else sum(one + 0.01 for one in found)

    choices = itertools.product([None, *range(4)], repeat=3)
    best = max(
        total(list(enumerate(choice)))
        for choice in choices
        if len({one for one in choice if one is not None}) == sum(one is not None for one in choice)
    )
    assert total(list(match_regions(regions, faces).items())) == pytest.approx(best)
