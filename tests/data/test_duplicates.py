import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.duplicates import (
    count_in_dataset,
    count_in_images,
    describe_duplicates,
    find_duplicates,
)
from data.labeled_images import LabeledImages, Role
from experiments.run.score import CodeSource, score, table
from facehash.codes import packed_from_bits
from facehash.dataset import DatasetError, FaceDataset
from facehash.retrieval.codes_file import CodeSet
from tests.helpers import datasets
from tests.helpers.datasets import write_picture

BOTH = Role.TRAIN | Role.GALLERY
ROLES = [0, Role.TRAIN, Role.GALLERY, BOTH, Role.QUERY, Role.GALLERY | Role.QUERY]


def loop(pictures, labels, roles):
    """Say row by row what is dropped, from the words of `Duplicates`."""
    same, across = [], []
    rows = range(len(pictures))
    for row in rows:
        copies = [one for one in rows if pictures[one] == pictures[row] and roles[one]]
        across.append(bool(roles[row]) and len({labels[one] for one in copies}) > 1)
        trained = [one for one in copies if roles[one] & Role.TRAIN][:1]
        searched = [one for one in copies if roles[one] & Role.GALLERY]
        if any(roles[one] & Role.GALLERY for one in trained):
            searched = []
        stay = trained + searched[:1] or [one for one in copies if roles[one] == Role.QUERY][:1]
        same.append(bool(roles[row]) and not across[-1] and row not in stay)
    return same, across


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.sampled_from(ROLES)), max_size=12)
)
def test_the_duplicates_are_those_that_a_loop_finds(rows):
    pictures, labels, roles = (list(part) for part in zip(*rows, strict=True)) if rows else [[]] * 3
    found = find_duplicates(
        np.array(pictures, np.uint64), np.array(labels, np.int64), np.array(roles, np.uint8)
    )
    same, across = loop(pictures, labels, roles)
    assert found.same_person.tolist() == same and found.across_people.tolist() == across
    assert found.counts() == {"same_person": sum(same), "across_people": sum(across)}
    assert found.dropped.tolist() == [a or b for a, b in zip(same, across, strict=True)]


def pictures(*values):
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)


def test_images_are_counted_by_hand():
    # Person 0 has picture 1 three times; picture 2 is filed under both; 3 and 4 occur once.
    images, labels = pictures(1, 1, 2, 1, 2, 3, 4), np.array([0, 0, 0, 0, 1, 1, 1])
    faces = LabeledImages(images, labels, ("a", "b"))
    assert count_in_images(faces) == {"same_person": 2, "across_people": 2}
    roles = np.array([BOTH] * 3 + [Role.QUERY] * 4, np.uint8)
    split = LabeledImages(images, labels, ("a", "b"), roles)
    assert count_in_images(split) == {
        "same_person": 2,
        "across_people": 2,
        "gallery_and_query": 2,
    }
    rows = np.arange(7)
    dataset = FaceDataset("x", images, labels, ("a", "b"), rows[:3], rows[:3], rows[3:], "seen")
    assert count_in_dataset(dataset) == count_in_images(split)
    # Images without a role do not count.
    dataset = FaceDataset("x", images, labels, ("a", "b"), rows[:1], rows[1:2], rows[5:], "seen")
    assert count_in_dataset(dataset) == {
        "same_person": 0,
        "across_people": 0,
        "gallery_and_query": 0,
    }


def test_a_query_that_is_itself_in_the_gallery_counts_only_with_a_copy():
    images, labels, rows = pictures(1, 1, 2, 3), np.array([0, 0, 0, 1]), np.arange(4)
    dataset = FaceDataset("x", images, labels, ("a", "b"), rows, rows, rows, "seen")
    assert count_in_dataset(dataset)["gallery_and_query"] == 2


@pytest.fixture
def root(tmp_path):
    """Three people with six pictures each, of which Ann and Bea share one; Carl has one twice."""
    root = tmp_path / "faces"
    for number, person in enumerate(("ann", "bea", "carl")):
        for photo in range(6):
            write_picture(root / person / f"{photo}.png", 50 * number + 5 * photo)
    write_picture(root / "bea" / "9.png", 25)
    write_picture(root / "carl" / "0.bmp", 100)  # another format, the same pixels
    return root


@pytest.fixture
def load(root, tmp_path):
    return lambda **options: datasets.load(root, cache=tmp_path / "cache", **options)


@pytest.mark.parametrize("options", [{}, {"split": "content"}, {"queries_per_identity": 3}])
def test_dropped_images_have_no_role(load, options, caplog):
    caplog.set_level("INFO")
    kept, dropped = load(**options), load(duplicates="drop", **options)
    assert "3 duplicates are dropped: 1 in one person, 2 in several people" in caplog.text
    assert count_in_dataset(kept)["across_people"] == 2
    assert not any(count_in_dataset(dropped).values())
    rows = np.concatenate([dropped.train, dropped.query])
    names = [dropped.identities[label] for label in dropped.labels[rows]]
    assert [names.count(person) for person in ("ann", "bea", "carl")] == [5, 6, 6]
    assert len(dropped.query) == 3 * options.get("queries_per_identity", 1)
    values = dropped.read(rows)[:, 0, 0, 0].tolist()
    assert 25 not in values and values.count(100) == 1
    # The first of the copies in one person stays: 0.bmp comes before 0.png.
    assert np.flatnonzero(dropped.labels == 2)[0] in rows


def test_held_out_people_are_drawn_among_those_that_have_images_left(load, root):
    for photo in range(3):
        for person in ("dan", "eve"):
            write_picture(root / person / f"{photo}.png", 200 + photo)
    with pytest.raises(DatasetError, match="needs at least 4 people.*got 3"):
        load(duplicates="drop", protocol="unseen")
    assert len(load(protocol="unseen").query)


def test_a_given_split_keeps_the_training_copy_and_drops_the_query(root, load):
    for part, values in (("train", (1, 2, 3, 3)), ("test", (3, 4, 4))):
        for number, person in enumerate(("ann", "bea")):
            for photo, value in enumerate(values):
                write_picture(root / part / person / f"{photo}.png", value + 100 * number)
    for person in ("ann", "bea", "carl"):
        for path in (root / person).iterdir():
            path.unlink()
        (root / person).rmdir()
    assert count_in_dataset(load()) == {
        "same_person": 6,
        "across_people": 0,
        "gallery_and_query": 2,
    }
    faces = load(duplicates="drop")
    assert faces.read(faces.train)[:, 0, 0, 0].tolist() == [1, 2, 3, 101, 102, 103]
    assert faces.read(faces.query)[:, 0, 0, 0].tolist() == [4, 104]
    assert faces.split == "given" and faces.gallery.tolist() == faces.train.tolist()


def test_counts_are_described_in_the_table_of_a_report():
    assert describe_duplicates({"same_person": 0, "across_people": 0}) == ""
    counts = {"same_person": 1200, "across_people": 0, "gallery_and_query": 3}
    assert describe_duplicates(counts) == "1,200 in one person, 3 in gallery and queries"
    packed, labels = packed_from_bits(np.eye(8, dtype=np.uint8)), np.repeat(np.arange(4), 2)
    codes = CodeSet(packed, packed, labels, labels, 8)
    report = score(codes, CodeSource(duplicates=counts)).report
    assert report["dataset"]["duplicates"] == counts
    assert table(report).endswith(
        "\nduplicates: 1,200 in one person, 3 in gallery and queries (dataset.duplicates: drop "
        "removes them)"
    )
    assert "duplicates" not in table(score(codes).report)
