import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.protocols import assign_roles
from facehash.config import DatasetConfig

SETTINGS = settings(max_examples=80, deadline=None)


@st.composite
def people(draw):
    """Labels and names of 4 to 14 people with 1 to 9 images each, in random order."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=4, max_size=14))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return labels[order], tuple(f"person {number}" for number in range(len(sizes)))


def roles(labels, identities, is_query=None, **options):
    config = DatasetConfig(name="mine", **{"queries_per_identity": 2} | options)
    return assign_roles(config, labels, identities, is_query)


def counts(labels, rows):
    return np.bincount(labels[rows], minlength=labels.max() + 1)


@SETTINGS
@given(people(), st.integers(0, 3), st.integers(1, 5))
def test_seen_divides_all_images_between_query_and_gallery(faces, seed, queries):
    labels, identities = faces
    made = roles(labels, identities, split_seed=seed, queries_per_identity=queries)
    assert np.array_equal(made.train, made.gallery)
    everyone = np.sort(np.concatenate([made.gallery, made.query]))
    assert np.array_equal(everyone, np.arange(len(labels)))
    sizes = np.bincount(labels)
    assert np.array_equal(counts(labels, made.query), np.minimum(queries, sizes - 1))
    assert (counts(labels, made.gallery) >= 1).all()


@SETTINGS
@given(people(), st.integers(0, 3), st.integers(1, 5))
def test_unseen_keeps_a_fifth_of_the_people_out_of_training(faces, seed, queries):
    labels, identities = faces
    options = {"split_seed": seed, "queries_per_identity": queries}
    made = roles(labels, identities, protocol="unseen", **options)
    held_out, trained = set(labels[made.gallery]), set(labels[made.train])
    assert not held_out & trained
    assert held_out | trained == set(labels)
    assert len(held_out) == max(2, round(0.2 * len(identities)))
    assert len(trained) >= 2
    assert set(labels[made.query]) <= held_out
    assert not np.intersect1d(made.query, made.gallery).size
    seen = roles(labels, identities, **options)
    of_held_out = np.isin(labels, list(held_out))
    assert np.array_equal(made.query, seen.query[of_held_out[seen.query]])
    assert np.array_equal(made.gallery, seen.gallery[of_held_out[seen.gallery]])
    assert np.array_equal(made.train, seen.train[~of_held_out[seen.train]])


@SETTINGS
@given(people(), st.integers(1, 5), st.sampled_from(["seen", "unseen"]))
def test_a_cap_drops_gallery_images_and_never_queries(faces, cap, protocol):
    labels, identities = faces
    whole = roles(labels, identities, protocol=protocol)
    capped = roles(labels, identities, protocol=protocol, max_per_identity=cap)
    assert np.array_equal(capped.query, whole.query)
    for role in ("train", "gallery"):
        kept, had = getattr(capped, role), getattr(whole, role)
        assert set(kept) <= set(had)
        assert np.array_equal(counts(labels, kept), np.minimum(cap, counts(labels, had)))


@SETTINGS
@given(people())
def test_another_person_does_not_change_the_roles_of_the_others(faces):
    labels, identities = faces
    before = roles(labels, identities, max_per_identity=3)
    # Sorted first, so that every other label moves up by one.
    after = roles(
        np.concatenate([labels + 1, [0] * 4]), ("a newcomer", *identities), max_per_identity=3
    )
    for role in ("gallery", "query"):
        rows = getattr(after, role)
        assert np.array_equal(rows[rows < len(labels)], getattr(before, role))


def test_draws_differ_between_seeds_and_between_people():
    labels, identities = np.repeat(np.arange(20), 50), tuple(map(str, range(20)))
    places = roles(labels, identities).query.reshape(20, 2) % 50
    assert len(np.unique(places, axis=0)) > 15
    for protocol in ("seen", "unseen"):
        first, second = (
            roles(labels, identities, protocol=protocol, split_seed=seed) for seed in (0, 1)
        )
        assert not np.array_equal(first.query, second.query)


def test_every_image_of_a_person_is_a_query_equally_often():
    labels = np.zeros(5, int)
    drawn = np.concatenate([roles(labels, ("one",), split_seed=seed).query for seed in range(500)])
    assert np.abs(np.bincount(drawn) / 500 - 2 / 5).max() < 0.08


@pytest.mark.parametrize("protocol", ["seen", "unseen"])
def test_data_that_comes_split_keeps_its_split(protocol):
    labels = np.tile(np.arange(10), 4)
    is_query = np.arange(40) >= 30
    made = roles(labels, tuple(map(str, range(10))), protocol=protocol, is_query=is_query)
    assert is_query[made.query].all() and not is_query[made.gallery].any()
    assert not is_query[made.train].any()
    assert len(made.query) == (10 if protocol == "seen" else 2)
    assert len(made.train) == (30 if protocol == "seen" else 24)


def test_the_draw_of_seed_0_does_not_drift():
    labels, identities = np.repeat(np.arange(4), 4), ("ann", "bob", "cy", "dan")
    assert roles(labels, identities).query[:6].tolist() == [1, 3, 6, 7, 8, 10]
    assert set(labels[roles(labels, identities, protocol="unseen").gallery]) == {1, 2}
