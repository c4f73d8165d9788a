import pytest

from facehash.detectors.nms import largest_first, non_max_suppression
from facehash.images.face import Face


def face(x, y, width, height, score=0.9):
    return Face((x, y, width, height), None, score)


def test_of_two_boxes_of_one_face_the_more_confident_is_kept():
    weak, sure = face(0, 0, 10, 10, 0.8), face(1, 1, 10, 10, 0.9)
    assert non_max_suppression([weak, sure]) == non_max_suppression([sure, weak]) == [sure]


@pytest.mark.parametrize(
    ("shift", "kept"),
    [
        # Boxes of 100, shifted by s, share 100 - 10 s of 100 + 10 s: 0.3 between 5.3 and 5.4.
        (5.3, 1),
        (5.5, 2),
        (8, 2),
    ],
)
def test_boxes_are_one_face_above_an_intersection_of_three_tenths_of_the_union(shift, kept):
    assert len(non_max_suppression([face(0, 0, 10, 10), face(shift, 0, 10, 10)])) == kept


def test_no_face_lies_inside_another():
    whole, eye = face(0, 0, 100, 100, 0.93), face(20, 20, 15, 15, 0.75)
    assert non_max_suppression([eye, whole]) == [whole]


def test_the_largest_face_comes_first_and_of_equal_ones_the_more_confident():
    faces = [face(0, 0, 5, 5), face(50, 0, 9, 9), face(100, 0, 7, 7)]
    assert [kept.box[2] for kept in non_max_suppression(faces)] == [9, 7, 5]
    assert largest_first([face(0, 0, 5, 5, 0.8), face(9, 9, 5, 5, 0.9)])[0].score == 0.9
    assert non_max_suppression([]) == []
