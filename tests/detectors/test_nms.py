from facehash.detectors.nms import largest_first, non_max_suppression
from facehash.images.face import Face


def face(x, y, width, height, score=0.9):
    return Face((x, y, width, height), None, score)


def test_of_two_boxes_of_one_face_the_surer_stays():
    weak, sure = face(0, 0, 10, 10, 0.8), face(1, 1, 10, 10, 0.9)
    assert non_max_suppression([weak, sure]) == non_max_suppression([sure, weak]) == [sure]


def test_faces_side_by_side_both_stay():
    # They share 20 of 180, one ninth.
    neighbours = [face(0, 0, 10, 10), face(8, 0, 10, 10)]
    assert len(non_max_suppression(neighbours)) == 2


def test_the_limit_is_three_tenths_of_the_area_covered_together():
    # Shifted by s, boxes of 100 share 100 - 10 s of 100 + 10 s: 0.3 between s = 5.3 and 5.4.
    assert len(non_max_suppression([face(0, 0, 10, 10), face(5.3, 0, 10, 10)])) == 1
    assert len(non_max_suppression([face(0, 0, 10, 10), face(5.5, 0, 10, 10)])) == 2


def test_no_face_lies_inside_another():
    whole, eye = face(0, 0, 100, 100, 0.93), face(20, 20, 15, 15, 0.75)
    assert non_max_suppression([eye, whole]) == [whole]


def test_what_is_left_comes_largest_first():
    faces = [face(0, 0, 5, 5), face(50, 0, 9, 9), face(100, 0, 7, 7)]
    assert [one.box[2] for one in non_max_suppression(faces)] == [9, 7, 5]


def test_of_equally_large_faces_the_surer_comes_first():
    assert largest_first([face(0, 0, 5, 5, 0.8), face(9, 9, 5, 5, 0.9)])[0].score == 0.9


def test_no_faces_stay_none():
    assert non_max_suppression([]) == []
