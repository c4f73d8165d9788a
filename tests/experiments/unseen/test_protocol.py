"""Galleries and draws: who is a query, what remains, and who is a distractor."""

import numpy as np
import pytest

from experiments.unseen.protocol import (
    LabeledVectors,
    draw_some,
    draws,
    leave_one_out,
    read_vectors,
    with_distractors,
)
from facehash.errors import InputError


def vectors_of(names, seed=0):
    rows = np.random.default_rng(seed).normal(size=(len(names), 8)).astype(np.float32)
    return LabeledVectors(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.array(names))


JUDGED = vectors_of(["ann", "bob", "ann", "cid", "bob", "bob", "dan"])
OTHERS = vectors_of([f"other {number // 2}" for number in range(10)], seed=1)


def test_one_photo_of_each_person_with_two_is_a_query_and_the_others_are_the_gallery():
    for queries in draws(leave_one_out(JUDGED), 5):
        assert len(queries.rows) == 2  # ann and bob
        assert len(queries.faces) == len(JUDGED.rows) - 2
        assert queries.num_relevant().tolist() == [1, 2]
        together = np.concatenate([queries.rows, queries.faces.all_rows])
        assert sorted(map(tuple, together)) == sorted(map(tuple, JUDGED.rows))
    drawn = {tuple(map(tuple, one.rows)) for one in draws(leave_one_out(JUDGED), 20)}
    assert len(drawn) == 2 * 3


def test_distractors_fill_the_gallery_and_change_no_query():
    alone = leave_one_out(JUDGED)
    larger = with_distractors(alone, OTHERS, size=12)
    np.testing.assert_array_equal(larger.query_indices, alone.query_indices)
    for few, many in zip(draws(alone, 5), draws(larger, 5), strict=True):
        assert len(many.faces) == 12
        np.testing.assert_array_equal(many.rows, few.rows)
        np.testing.assert_array_equal(many.num_relevant(), few.num_relevant())
        np.testing.assert_array_equal(many.faces.rows[:5], few.faces.rows)
        added = set(map(tuple, many.faces.rows[5:]))
        assert len(added) == 7 and added <= set(map(tuple, OTHERS.rows))


def test_two_distractors_of_one_person_stay_one_person():
    everyone = with_distractors(leave_one_out(JUDGED), OTHERS, size=5 + 10)
    assert np.bincount(everyone.faces.people).tolist() == [2, 3, 1, 1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("size, missing", [(4, "-1"), (16, "11")])
def test_too_many_or_too_few_faces_are_refused(size, missing):
    with pytest.raises(InputError, match=f"needs {missing} distractors, there are 10"):
        with_distractors(leave_one_out(JUDGED), OTHERS, size)


def test_names_are_compared_case_folded_and_vectors_are_scaled(tmp_path):
    path = tmp_path / "vectors.npz"
    np.savez(path, vectors=np.float16([[3, 4], [0, 2], [5, 0]]), labels=["Ann", "bob", "Cid"])
    read = read_vectors(path)
    np.testing.assert_allclose(read.rows, [[0.6, 0.8], [0, 1], [1, 0]], atol=1e-3)
    assert read.people() == {"ann", "bob", "cid"}
    left = read.without(vectors_of(["ANN", "CID"]).people())
    assert left.names.tolist() == ["bob"]
    np.testing.assert_array_equal(left.rows, read.rows[1:2])


def test_some_queries_are_drawn_and_each_ignores_itself():
    everyone = with_distractors(leave_one_out(JUDGED), OTHERS, size=12)
    some = draw_some(everyone, 3)
    assert len(some.query_indices) == 3 and set(some.query_indices) < set(everyone.query_indices)
    assert dict(zip(*some.excluded, strict=True)) == dict(enumerate(some.query_indices))
    np.testing.assert_array_equal(draw_some(everyone, 99).query_indices, everyone.query_indices)
