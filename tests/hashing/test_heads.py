"""Learned hash functions: the one that comes with facehash, and heads made of random numbers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from facehash.codes import CodesError, bits_from_packed
from facehash.hashing import LinearHash, heads
from facehash.hashing.heads.head import HEADS, Head, find_head
from facehash.hashing.itq import rotation
from facehash.hashing.library import check_hasher, fit_hasher
from facehash.weights.table import WEIGHTS
from tests.conftest import ROOT

SFACE = f"sface:sha256={WEIGHTS['sface'].sha256}"
FOLDER = Path(heads.__file__).parent


@pytest.fixture
def rng():
    return np.random.default_rng(2019)


@pytest.fixture
def vectors(rng):
    """Photos of 60 people, far from the origin and of length 1, as embeddings are."""
    rows = rng.normal(size=(60, 16))[np.arange(180) % 60] + 0.4 * rng.normal(size=(180, 16)) + 1
    return unit(rows).astype("float32")


@pytest.fixture
def head(rng):
    root = rng.normal(size=(16, 16))
    return Head(
        rng.normal(size=16).astype("float32") / 10,
        (root @ root.T / 16 + np.eye(16)).astype("float32"),
        {bits: rng.normal(size=(16, bits)).astype("float32") for bits in (6, 16)},
        {bits: rng.uniform(1, 2, bits).astype("float32") for bits in (6, 16)},
    )


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_head_of_sface_is_the_one_that_its_record_describes():
    assert list(HEADS) == [SFACE]
    path = FOLDER / HEADS[SFACE]
    record = json.loads((ROOT / "experiments" / "results" / "sface_head.json").read_text("utf-8"))
    assert record["embedder"] == SFACE and record["bytes"] == path.stat().st_size < 100_000
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert max(record["bits_changed_by_half_precision"].values()) < 1e-3
    assert record["sha256"] in (FOLDER / "README.md").read_text("utf-8")


def test_the_head_of_sface_has_three_lengths_and_its_matrix_can_be_inverted():
    head = find_head(SFACE)
    assert head is find_head(SFACE) and head.lengths == (32, 64, 128)
    assert find_head("dlib") is None
    assert head.adapting.shape == (128, 128) and np.linalg.cond(head.adapting.astype(float)) < 1e4
    for bits in head.lengths:
        learned = head.learned(bits)
        assert (learned.dimension, learned.bits) == (128, bits)
        # No bit is nearly constant around the mean of faces.
        noise = np.random.default_rng(0).normal(size=(2000, 128)) + learned.mean
        ones = bits_from_packed(learned.encode(noise), bits).mean(axis=0)
        assert 0.4 < ones.min() and ones.max() < 0.6


def test_learned_codes_are_the_same_for_every_library(head, vectors):
    [one, other] = [
        fit_with(head, "learned", rows, 6, seed)
        for rows, seed in ((vectors[:50], 0), (vectors[50:], 1))
    ]
    np.testing.assert_array_equal(one.encode(vectors), other.encode(vectors))
    expected = [
        [sum((x - m) * w for x, m, w in zip(v, head.mean, plane, strict=True)) >= 0 for plane in p]
        for p in [head.projections[6].astype(float).T]
        for v in vectors.astype(float)
    ]
    assert bits_from_packed(one.encode(vectors), 6).tolist() == expected
    np.testing.assert_array_equal(one.scale, head.scales[6])


def fit_with(head, name, vectors, bits, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facehash.hashing.library.find_head", lambda _: head)
        return fit_hasher(name, vectors, bits, seed, "any")


def mean_of(head, vectors):
    ten = np.tile(head.mean, (10, 1))
    return np.concatenate([vectors, ten]).astype(float).mean(axis=0)


def whitened(head, vectors):
    rows = vectors.astype(float) - mean_of(head, vectors)
    return unit(unit(rows) @ head.adapting.astype(float))


def test_an_adapted_hash_is_itq_of_the_whitened_vectors(head, vectors):
    rows = whitened(head, vectors)
    values, directions = np.linalg.eigh(rows.T @ rows)
    components = directions[:, np.argsort(-values)[:6]]
    expected = rows @ components @ rotation(rows @ components, seed=3)
    found = head.adapted(6, vectors, seed=3)
    np.testing.assert_allclose(found.mean, mean_of(head, vectors), rtol=1e-5)
    clear = np.abs(expected) > 1e-4
    signs = np.where(found.project(vectors) >= 0, 1, -1)
    assert (signs == np.sign(expected))[clear].all() and clear.mean() > 0.99


def test_directions_in_which_few_vectors_do_not_differ_are_those_of_the_head(head, vectors):
    found = head.adapted(6, vectors[:2], seed=3)
    adapting = head.adapting.astype(float)
    weights = np.linalg.solve(adapting, found.projection.astype(float))  # (16, 6)
    learned = np.linalg.solve(adapting, head.projections[6].astype(float))
    known = np.concatenate([whitened(head, vectors[:2]).T, learned], axis=1)  # (16, 8)
    inside = known @ np.linalg.lstsq(known, weights, rcond=None)[0]
    np.testing.assert_allclose(inside, weights, atol=1e-3)


def test_an_adapted_hash_has_the_scale_of_the_library_and_survives_storage(head, vectors):
    found = [head.adapted(6, vectors, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0].projection, found[1].projection)
    assert (found[0].projection != found[2].projection).any()
    np.testing.assert_allclose(np.abs(found[0].projections(vectors)).mean(axis=0), 1, rtol=1e-4)
    again = LinearHash.from_arrays(found[0].arrays())
    np.testing.assert_array_equal(again.encode(vectors), found[0].encode(vectors))


def test_a_head_survives_storage_and_the_same_head_gives_the_same_file(head, vectors, tmp_path):
    head.write(tmp_path / "one.npz")
    head.write(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    found = Head.read(tmp_path / "one.npz")
    np.testing.assert_allclose(found.adapting, head.adapting, rtol=1e-3)
    np.testing.assert_array_equal(found.scales[6], head.scales[6])
    different = found.learned(16).encode(vectors) != head.learned(16).encode(vectors)
    assert different.mean() < 0.01
    arrays = dict(np.load(tmp_path / "one.npz"))
    np.savez(tmp_path / "new.npz", **(arrays | {"format": np.array(2)}))
    with pytest.raises(CodesError, match="a head of format 2, this facehash reads up to 1; upgr"):
        Head.read(tmp_path / "new.npz")


def test_what_a_head_cannot_do_is_refused_in_one_line(head, vectors):
    for name in ("learned", "adapted"):
        with pytest.raises(CodesError, match=f"^{name} codes have 32, 64 or 128 bits$"):
            check_hasher(name, 48, 128, SFACE)
        known = r"sface \(0ba9fbfa\.\.\.\)"
        with pytest.raises(CodesError, match=f"{name} codes exist for vectors of {known} only, no"):
            check_hasher(name, 64, 128, "dlib:sha256=1")
        with pytest.raises(CodesError, match=f"{name} codes have 6 or 16 bits"):
            fit_with(head, name, vectors, 7, 0)
        check_hasher(name, 64, 128, SFACE)
    with pytest.raises(CodesError, match="learned for vectors of length 16, got 15"):
        head.adapted(6, vectors[:, :15], 0)
    with pytest.raises(CodesError, match="at least two vectors"):
        head.adapted(6, vectors[:1], 0)
