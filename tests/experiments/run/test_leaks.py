"""Leaks on six people with eight pictures each; a model is a list of names and a record."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.run.leaks import LeakError, check_leaks, find_leaks
from facehash.dataset import FaceDataset
from facehash.errors import InputError
from facehash.runs.fingerprint import picture_hashes, record_pictures

PEOPLE, EACH = 6, 8
ROWS = np.arange(PEOPLE * EACH)
LABELS = ROWS // EACH
NAMES = tuple(f"person {letter}" for letter in "abcdef")
NUMBERS = tuple("012345")


def pictures(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (len(ROWS), 8, 8, 3), dtype=np.uint8)


def dataset(train, gallery, query, protocol, names=NAMES, seed=0):
    roles = {"train": np.array(train), "gallery": np.array(gallery), "query": np.array(query)}
    return FaceDataset("faces", pictures(seed), LABELS, names, **roles, protocol=protocol).check()


def seen(names=NAMES, shift=0, seed=0):
    """Two pictures of each person are queries; which ones depends on `shift`."""
    is_query = (ROWS + shift) % EACH < 2
    kept = ROWS[~is_query]
    return dataset(kept, kept, ROWS[is_query], "seen", names, seed)


def unseen(held_out=(4, 5), names=NAMES, seed=0):
    out = np.isin(LABELS, held_out)
    queries = out & (ROWS % EACH < 2)
    return dataset(ROWS[~out], ROWS[out & ~queries], ROWS[queries], "unseen", names, seed)


class Model:
    """What a model says about its training."""

    def __init__(self, faces, record=True):
        people = np.unique(faces.labels[faces.train])
        self.trained_people = {faces.identities[person] for person in people}
        hashes = picture_hashes(faces.images, faces.train)
        self.training_images = record_pictures(hashes) if record else None


def leaks(model, faces):
    return find_leaks(faces, model.trained_people, model.training_images)


@pytest.mark.parametrize("faces", [seen(), unseen(), seen(NUMBERS), unseen(names=NUMBERS)])
def test_a_model_has_no_leak_on_the_split_it_was_trained_with(faces):
    assert leaks(Model(faces), faces) == []
    assert leaks(Model(faces, record=False), faces) is None


def test_queries_that_were_trained_on_are_counted():
    # Shifted by one, one of the two queries of each person was a query before.
    assert leaks(Model(seen()), seen(shift=1)) == [
        "6 of 12 queries were trained on, for example image 7, of 'person a'"
    ]
    assert leaks(Model(seen()), seen(shift=4)) == [
        "12 of 12 queries were trained on, for example image 4, of 'person a'"
    ]


def test_people_of_unseen_who_were_trained_on_are_counted_whatever_their_names():
    (line,) = leaks(Model(unseen((0, 1))), unseen((1, 2), seed=7))  # other pictures
    leak = "the protocol is 'unseen', but 1 of 2 people were trained on, for example 'person c'"
    assert line == leak
    renamed = unseen((1, 2), names=tuple(f"x{number}" for number in range(PEOPLE)))
    found = leaks(Model(unseen((0, 1))), renamed)
    assert found[0] == "2 of 4 queries were trained on, for example image 16, of 'x2'"
    assert "1 of 2 people were trained on, for example 'x2'" in found[1]


def test_leave_one_out_is_for_people_that_the_model_has_not_seen():
    faces = unseen((1, 2))
    held_out = np.sort(np.concatenate([faces.gallery, faces.query]))
    faces = replace(faces, gallery=held_out, query=held_out, protocol="leave_one_out")
    assert leaks(Model(faces), faces) == []
    found = leaks(Model(unseen((0, 1))), faces)
    assert found[0] == "8 of 16 queries were trained on, for example image 16, of 'person c'"
    assert found[1].startswith("the protocol is 'leave_one_out', but 1 of 2 people were trained on")


def test_people_of_seen_who_were_not_trained_on_are_counted():
    (line,) = leaks(Model(unseen((1, 2))), seen(seed=7))
    assert line == (
        "the protocol is 'seen', but 2 of 6 people were not in the training set, for example "
        "'person b'"
    )


def test_a_number_is_the_same_person_only_with_a_picture_that_was_trained_on():
    # Another data set, whose people are also called 0 to 5.
    assert leaks(Model(seen(NUMBERS)), unseen(names=NUMBERS, seed=7)) == []
    (line,) = leaks(Model(seen(NUMBERS)), seen(NUMBERS, seed=7))
    assert "6 of 6 people were not in the training set, for example '0'" in line
    # The same data set.
    assert "2 of 2 people were trained on" in leaks(Model(seen(NUMBERS)), unseen(names=NUMBERS))[-1]


def test_a_model_without_a_record_is_judged_by_names_alone():
    old = Model(seen(), record=False)
    assert leaks(old, seen(shift=4)) is None
    assert "2 of 2 people were trained on" in leaks(old, unseen())[0]
    assert "2 of 6 people were not" in leaks(Model(unseen(), record=False), seen())[0]
    assert leaks(Model(seen(NUMBERS), record=False), unseen(names=NUMBERS)) is None


@pytest.mark.parametrize("faces", [seen(), unseen()])
def test_a_picture_that_the_data_set_holds_twice_is_no_leak_of_the_split(faces):
    faces.images[faces.query[0]] = faces.images[faces.train[0]]
    assert leaks(Model(faces), faces) == []


def test_leaks_are_refused_in_one_line_unless_they_are_allowed():
    model, faces = Model(seen(shift=4)), unseen()
    with pytest.raises(LeakError) as caught:
        check_leaks("model.keras", model, faces)
    message = str(caught.value)
    assert message.startswith("model.keras: ") and "\n" not in message
    assert "--allow-leaks" in message
    found = check_leaks("model.keras", model, faces, allow=True)
    assert len(found) == 2 and all(line in message for line in found)
    assert check_leaks("model.keras", Model(seen()), seen()) == []


def test_a_damaged_record_is_an_error():
    model = Model(seen())
    model.training_images = "not base64"
    with pytest.raises(InputError, match="training_images"):
        leaks(model, seen())


def test_images_without_a_role_do_not_count():
    faces = seen()
    fewer = replace(faces, query=faces.query[:6]).check()
    model = Model(fewer)
    assert leaks(model, fewer) == []
