import numpy as np
import pytest

from facehash.images.face import Face
from facehash.library.ingest.tracks import Tracker
from facehash.vectors import Space

SPACE = Space("cosine", 8)
PEOPLE = np.eye(8, dtype=np.float32)


def add(tracker, seconds, *faces):
    """Add faces, each a person, an x, and optionally a side of the box."""
    boxes = [Face((x, 10.0, side, side), None, 0.9) for _, x, side in map(sized, faces)]
    rows = np.array([PEOPLE[one[0]] for one in faces], np.float32).reshape(-1, 8)
    crops = np.zeros((len(faces), 16, 16, 3), np.uint8)
    tracker.add(seconds, boxes, crops, rows)


def sized(face):
    return face if len(face) == 3 else (*face, 50.0)


def spans(tracker):
    return [(int(np.argmax(one.row)), one.first, one.last) for one in tracker.finish()]


@pytest.fixture
def tracker():
    return Tracker(SPACE, "unknown", 1.0)


def test_a_face_that_stays_is_one_row(tracker):
    for second in range(3600):
        add(tracker, float(second), (1, 100.0 + second % 7), (2, 300.0))
    assert spans(tracker) == [(1, 0.0, 3599.0), (2, 0.0, 3599.0)]


def test_two_people_at_the_same_place_are_two_rows(tracker):
    for second in range(6):
        add(tracker, float(second), (1 + second // 2, 100.0))
    assert spans(tracker) == [(1, 0.0, 1.0), (2, 2.0, 3.0), (3, 4.0, 5.0)]


def test_one_missed_frame_does_not_end_a_track_and_three_do(tracker):
    for second in (0, 1, 3, 4, 8, 9):
        add(tracker, float(second), (1, 100.0))
    assert spans(tracker) == [(1, 0.0, 4.0), (1, 8.0, 9.0)]


def test_a_face_elsewhere_or_of_another_size_is_another_row(tracker):
    add(tracker, 0.0, (1, 100.0))
    add(tracker, 1.0, (1, 160.0))
    assert len(tracker.finish()) == 2
    add(tracker, 2.0, (1, 200.0))
    assert len(tracker.finish()) == 2
    add(tracker, 3.0, (1, 150.0, 120.0))
    assert len(tracker.finish()) == 3


def test_a_face_goes_on_with_the_nearest_track(tracker):
    add(tracker, 0.0, (1, 100.0), (2, 120.0))
    add(tracker, 1.0, (2, 110.0), (1, 112.0))
    assert spans(tracker) == [(1, 0.0, 1.0), (2, 0.0, 1.0)]


def test_the_best_frame_is_kept(tracker):
    for second, side in enumerate((40.0, 60.0, 50.0)):
        add(tracker, float(second), (1, 100.0, side))
    tracker.finish()
    # Without an image, the quality is that of the box, until it is as large as the crop.
    small = Tracker(SPACE, "unknown", 1.0)
    for second, side in enumerate((9.0, 14.0, 12.0)):
        add(small, float(second), (1, 100.0, side))
    [track] = small.finish()
    assert (track.seconds, track.face.box[2], track.first, track.last) == (1.0, 14.0, 0.0, 2.0)


def test_vectors_that_are_not_finite_continue_nothing(tracker):
    face, crops = [Face((0.0, 0.0, 9.0, 9.0), None, 1.0)], np.zeros((1, 16, 16, 3), np.uint8)
    for second in range(2):
        tracker.add(float(second), face, crops, np.full((1, 8), np.nan, np.float32))
    assert len(tracker.finish()) == 2


@pytest.mark.parametrize(("bits", "rows"), [(0, 1), (12, 1), (14, 2)])
def test_codes_are_compared_by_their_bits(bits, rows):
    tracker = Tracker(Space("hamming", 64), "unknown", 1.0)
    code = np.zeros(64, bool)
    code[:bits] = True
    face, crops = [Face((0.0, 0.0, 9.0, 9.0), None, 1.0)], np.zeros((1, 16, 16, 3), np.uint8)
    tracker.add(0.0, face, crops, np.zeros((1, 8), np.uint8))
    tracker.add(1.0, face, crops, np.packbits(code)[None])
    assert len(tracker.finish()) == rows
