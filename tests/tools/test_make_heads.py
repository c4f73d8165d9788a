"""Making the learned hash functions that come with facehash."""

import numpy as np
import pytest

from experiments.unseen.protocol import LabeledVectors
from facehash.codes import bits_from_packed
from facehash.hashing import WhitenedITQ
from facehash.vectors import unit_rows
from tools import make_heads


@pytest.fixture
def faces():
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(40), 4)
    rows = rng.normal(size=(40, 8))[people] + 0.5 * rng.normal(size=(160, 8)) + 2
    return LabeledVectors(unit_rows(rows.astype(np.float32)), people.astype(str))


@pytest.fixture
def library():
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(150, 8))[np.arange(900) % 150] + 0.5 * rng.normal(size=(900, 8)) + 2
    return unit_rows(rows.astype(np.float32))


def test_a_head_is_what_whitened_itq_learns(faces):
    head = make_heads.make_head(faces, (3, 8))
    for bits in (3, 8):
        fitted = WhitenedITQ.fit(faces.rows, bits, 0, labels=faces.names)
        learned = head.learned(bits)
        np.testing.assert_array_equal(learned.encode(faces.rows), fitted.encode(faces.rows))
        np.testing.assert_array_equal(learned.scale, fitted.scale)


def test_a_head_adapts_as_a_hash_that_is_fitted_to_both(faces, library):
    head = make_heads.make_head(faces, (6,))
    adapted = head.adapted(6, library, seed=2)
    both = WhitenedITQ.fit(faces.rows, 6, 2, labels=faces.names, library=library)
    bits = [bits_from_packed(one.encode(library), 6) for one in (adapted, both)]
    # Not equal: the mean of the library is pulled to that of the head.
    assert (bits[0] == bits[1]).mean() > 0.95


def test_a_head_is_scored_on_people_that_it_was_not_fitted_to(faces, monkeypatch):
    monkeypatch.setattr(make_heads, "LENGTHS", (8,))
    seen = []
    fit = make_heads.make_head
    monkeypatch.setattr(
        make_heads, "make_head", lambda others: seen.append(set(others.names)) or fit(others, (8,))
    )
    people = [str(one) for one in range(30, 40)]
    found = make_heads.development_scores(faces, people)
    assert seen == [{str(one) for one in range(30)}]
    assert (found["people"], found["faces"], found["queries_per_draw"]) == (10, 40, 10)
    assert found["gallery"] == 30 and 0 < found["vectors"]["mAP"] <= 1
    assert [row["name"] for row in found["rows"]] == [
        "itq of other people", "learned", "itq of the gallery", "adapted",
    ]  # fmt: skip
    for row in found["rows"]:
        for distance in ("hamming", "asymmetric"):
            assert 0 < row[distance]["mAP"] <= 1 and 0 <= row[distance]["P@1"] <= 1
