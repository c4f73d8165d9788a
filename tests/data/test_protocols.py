import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.protocols import assign_roles
from facehash.config import DatasetConfig
from facehash.dataset import DatasetError

SETTINGS = settings(max_examples=80, deadline=None)


@st.composite
def people(draw):
    """Labels and names of 4 to 14 people with 1 to 9 images each, in random order."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=4, max_size=14))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return labels[order], tuple(f"person {number}" for number in range(len(sizes)))


def roles(labels, identities, is_query=None, images=None, **options):
    config = DatasetConfig(name="mine", **{"queries_per_identity": 2} | options)
    return assign_roles(config, labels, identities, is_query, images)


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


@SETTINGS
@given(people(), st.integers(0, 3), st.sampled_from([None, 1, 2, 3]))
def test_leave_one_out_holds_out_people_with_all_their_images(faces, seed, cap):
    labels, identities = faces
    sizes = np.minimum(np.bincount(labels), cap or 99)
    options = {"split_seed": seed, "max_per_identity": cap, "protocol": "leave_one_out"}
    if (sizes >= 2).sum() < 4:
        with pytest.raises(DatasetError, match="'leave_one_out' needs at least 4 people with 2"):
            roles(labels, identities, **options)
        return
    made = roles(labels, identities, **options)
    assert np.array_equal(made.gallery, made.query)
    held_out = set(labels[made.gallery])
    assert len(held_out) == max(2, round(0.2 * (sizes >= 2).sum()))
    assert not held_out & set(labels[made.train])
    # Nobody finds nothing, and nobody is lost: a person with one image is learned from.
    assert (counts(labels, made.gallery)[list(held_out)] >= 2).all()
    everyone = counts(labels, np.concatenate([made.train, made.gallery]))
    assert np.array_equal(everyone, sizes)
    if (np.bincount(labels) >= 2).all() and cap is None:
        # The same people as under unseen: the two can be compared.
        unseen = roles(labels, identities, split_seed=seed, protocol="unseen")
        assert set(labels[unseen.gallery]) == held_out


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


def pictures(values):
    """One picture per value; equal values give equal pictures."""
    return np.stack([np.full((8, 8, 3), value, np.uint8) for value in values])


def roles_by_content(labels, values, **options):
    names = tuple(f"person {number}" for number in range(max(labels) + 1))
    split = {"split": "content"} | options
    return roles(np.array(labels), names, images=pictures(values), **split)


def role_of(made, row):
    return [row in getattr(made, role) for role in ("train", "gallery", "query")]


CONTENT_OPTIONS = st.fixed_dictionaries(
    {
        "split_seed": st.integers(0, 3),
        "queries_per_identity": st.integers(1, 4),
        "max_per_identity": st.none() | st.integers(1, 4),
        "protocol": st.sampled_from(["seen", "unseen"]),
    }
)


@SETTINGS
@given(
    st.lists(st.integers(0, 3), max_size=30),
    st.integers(0, 3),
    st.integers(0, 34),
    CONTENT_OPTIONS,
)
def test_by_content_one_more_photo_changes_at_most_one_other_role(more, person, place, options):
    labels = [0, 1, 2, 3, *more]
    values = list(range(len(labels)))  # all different
    before = roles_by_content(labels, values, **options)
    place = min(place, len(labels))
    labels.insert(place, person)
    values.insert(place, 200)
    after = roles_by_content(labels, values, **options)
    rows = [row for row in range(len(labels)) if row != place]
    changed = [row for old, row in enumerate(rows) if role_of(before, old) != role_of(after, row)]
    assert len(changed) <= 1
    assert all(labels[row] == person for row in changed)


@SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=40),
    st.integers(0, 3),
    st.integers(1, 4),
)
def test_by_content_copies_of_a_picture_share_a_role(more, seed, queries):
    labels = [0, 1, 2, 3, *(person for person, _ in more)]
    values = [0, 0, 0, 0, *(value for _, value in more)]
    made = roles_by_content(labels, values, split_seed=seed, queries_per_identity=queries)
    for person in range(4):
        rows = np.flatnonzero(np.array(labels) == person)
        queried = {values[row] for row in rows if row in made.query}
        kept = {values[row] for row in rows if row in made.gallery}
        assert not queried & kept
        assert len(queried) == min(queries, len(queried | kept) - 1)
    capped = roles_by_content(
        labels, values, split_seed=seed, queries_per_identity=queries, max_per_identity=2
    )
    assert np.array_equal(capped.query, made.query)
    assert set(capped.gallery) <= set(made.gallery)
    assert np.bincount(np.array(labels)[capped.gallery]).max() <= 2


def test_by_content_neither_names_nor_the_order_of_rows_matter():
    labels, values = np.repeat([0, 1], 20), np.arange(40)
    made = roles_by_content(labels, values)
    order = np.random.default_rng(0).permutation(40)
    shuffled = roles_by_content(labels[order], values[order])
    assert set(order[shuffled.query]) == set(made.query)
    renamed = roles(labels, ("x", "y"), images=pictures(values), split="content")
    assert np.array_equal(renamed.query, made.query)
    other = roles_by_content(labels, values, split_seed=1)
    assert not np.array_equal(other.query, made.query)


def test_by_content_every_picture_of_a_person_is_a_query_equally_often():
    seeds = [roles_by_content([0] * 5, range(5), split_seed=seed).query for seed in range(500)]
    assert np.abs(np.bincount(np.concatenate(seeds)) / 500 - 2 / 5).max() < 0.08


def test_by_content_a_given_split_is_kept_and_the_cap_ranks():
    labels, is_query = np.zeros(20, int), np.arange(20) >= 15
    options = {"is_query": is_query, "images": pictures(range(20)), "split": "content"}
    made = roles(labels, ("one",), **options)
    capped = roles(labels, ("one",), **options, max_per_identity=4)
    assert np.array_equal(made.query, np.flatnonzero(is_query))
    assert np.array_equal(capped.query, made.query)
    assert set(capped.gallery) == set(ranked(range(15), seed=0)[-4:])


def ranked(values, seed):
    """Rank one-valued pictures by the hash that the documentation describes."""

    def digest(value):
        text = f"{seed}:8x8x3:".encode()
        return hashlib.blake2b(text + bytes([value]) * 192, digest_size=8).digest()

    return sorted(values, key=digest)


def test_the_content_split_does_not_drift():
    for seed in (0, 1):
        made = roles_by_content([0] * 16, range(16), split_seed=seed, queries_per_identity=5)
        assert set(made.query) == set(ranked(range(16), seed)[:5])


@SETTINGS
@given(st.integers(4, 30), st.integers(0, 5), st.integers(0, 3))
def test_one_more_person_changes_whether_at_most_one_other_is_held_out(count, newcomer, seed):
    def held_out(names):
        labels = np.repeat(np.arange(len(names)), 2)
        made = roles(labels, names, protocol="unseen", split_seed=seed, queries_per_identity=1)
        return {names[label] for label in labels[made.gallery]}

    names = tuple(f"person {number}" for number in range(count))
    before, after = held_out(names), held_out((f"newcomer {newcomer}", *names))
    assert len((before ^ after) - {f"newcomer {newcomer}"}) <= 1
