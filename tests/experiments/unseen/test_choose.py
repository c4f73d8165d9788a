"""The comparison of settings on the development people."""

import json

import numpy as np
import pytest

from experiments.unseen import choose
from experiments.unseen.protocol import LabeledVectors, read_vectors
from facehash.hashing import WhitenedITQ


def made(people, seed=0):
    """Vectors of people with 1 to 5 photos, whose names are numbers."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), rng.integers(1, 6, people))
    rows = rng.normal(size=(people, 16))[labels] + 0.5 * rng.normal(size=(len(labels), 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return LabeledVectors(rows.astype(np.float32), labels.astype(str))


@pytest.fixture
def small(monkeypatch):
    faces = made(120)
    development = [str(number) for number in range(0, 120, 5)]
    monkeypatch.setattr(choose, "DRAWS", 2)
    monkeypatch.setattr(choose, "FEW_PEOPLE", 4)
    monkeypatch.setattr(choose, "FACES_OF_EACH", 20)
    count = np.isin(faces.names, development).sum() - len(development)
    monkeypatch.setattr(choose, "SIZE", int(count) + 60)
    return faces, development


def test_distractors_are_of_people_who_are_not_fitted_to(small):
    faces, development = small
    found = dict(choose.scenes(faces, development))
    assert list(found) == ["development people", "many", "few"]
    sizes = {name: len(scene.draws[0].faces) for name, scene in found.items()}
    assert sizes["many"] == sizes["few"] == choose.SIZE > sizes["development people"]
    for name, scene in found.items():
        assert not scene.others.people() & set(development)
        fitted = {row.tobytes() for row in scene.others.rows}
        searched = {row.tobytes() for row in scene.draws[0].faces.all_rows}
        asked = {row.tobytes() for row in scene.draws[0].rows}
        assert not fitted & (searched | asked), name
        assert not searched & asked, name
    assert len(found["many"].others.people()) < len(found["development people"].others.people())
    assert len(found["development people"].others.people()) - 4 == len(found["few"].others.people())


def test_the_variant_without_changes_is_the_chosen_one(small):
    faces, development = small
    scene = dict(choose.scenes(faces, development))["few"]
    gallery = scene.draws[0].faces.all_rows.astype(float)
    ours = choose.adapted(scene.others, gallery, 8, 3)
    fitted = WhitenedITQ.fit(scene.others.rows, 8, 3, labels=scene.others.names, library=gallery)
    np.testing.assert_array_equal(ours.encode(faces.rows), fitted.encode(faces.rows))
    np.testing.assert_allclose(ours.scale, fitted.scale, rtol=1e-5)


def test_what_is_known_is_not_measured_again(tmp_path, small, monkeypatch):
    faces, development = small
    np.savez(tmp_path / "sface_train.npz", vectors=faces.rows, labels=faces.names.astype(int))
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"people": [int(one) for one in development]}))
    monkeypatch.setattr(choose, "PEOPLE", people)
    chosen = choose.candidates()[:4]
    monkeypatch.setattr(choose, "candidates", lambda: chosen)
    output = tmp_path / "choices.json"
    assert choose.main(tmp_path, 8, output) == 0
    found = json.loads(output.read_text())
    assert len(found["entries"]) == 3 * 4 and found["draws"] == 2
    for entry in found["entries"]:
        own, reference = (
            next(
                one["hamming"]["mAP"]
                for one in found["entries"]
                if (one["gallery"], one["name"]) == (entry["gallery"], name)
            )
            for name in (entry["name"], entry["against"])
        )
        assert entry["hamming"]["difference"] == pytest.approx(own - reference, abs=2e-4)
        assert (entry["hamming"]["standard_error"] > 0) == (entry["name"] != entry["against"])
    measured = []
    keep = choose.measure
    monkeypatch.setattr(choose, "measure", lambda *one: measured.append(one) or keep(*one))
    assert choose.main(tmp_path, 8, output) == 0
    assert json.loads(output.read_text()) == found
    assert {one[0].name for one in measured} == {choose.OTHERS, choose.ADAPTED}


def test_the_committed_people_follow_the_rule():
    stored = json.loads(choose.PEOPLE.read_text("utf-8"))
    assert len(stored["people"]) == len(set(stored["people"])) == 5683 // 5
    assert stored["people"] == sorted(stored["people"])


def test_label_numbers_are_names(tmp_path):
    np.savez(tmp_path / "v.npz", vectors=np.eye(3, 8), labels=[7, 7, 12])
    assert read_vectors(tmp_path / "v.npz").names.tolist() == ["7", "7", "12"]
