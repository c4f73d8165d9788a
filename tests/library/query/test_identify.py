import numpy as np
import pytest

from facehash.calibration.identification import identification_of
from facehash.library.people.edit import name_faces
from facehash.library.query.identify import probable_people
from facehash.library.query.library import open_library
from facehash.library.storage.store import Store
from tests.library import vector_library
from tests.library.vector_library import OTHER, SETTINGS


@pytest.mark.parametrize("settings", [SETTINGS, OTHER])
def test_the_probability_of_each_person_follows_from_bayes_rule(directory, settings):
    vectors = vector_library.people(6, 4, spread=0.9)
    with Store.create(directory) as store:
        ids = np.array(vector_library.fill(store, vectors, settings)).reshape(6, 4)
        for person in range(5):
            name_faces(store, f"P{person}", ids[person, : 2 + person % 2].tolist())
    face = int(ids[0, 3])
    with open_library(directory) as library:
        [result] = library.search_faces([library.stored_face(face)], 100)
        found = probable_people(library.store, library.settings, result, face)
    if settings is OTHER:
        assert found == {}
        return
    model = identification_of(settings.embedder_identity)
    nearest, ratios = {}, {}
    for hit in result.hits:
        if hit.name:
            nearest[hit.name] = min(hit.distance, nearest.get(hit.name, 9.0))
    for person in range(5):
        size = 2 + person % 2
        exponent = model.intercept + model.slope * nearest[f"P{person}"]
        ratios[f"P{person}"] = np.exp(exponent + model.faces * np.log(size))
    known = 0.5  # of one query, found again and again until it stays
    for _ in range(200):
        chances = {name: ratio * known / 5 for name, ratio in ratios.items()}
        total = sum(chances.values()) + 1 - known
        chances = {name: one / total for name, one in chances.items()}
        known = (sum(chances.values()) + 1) / 3
    assert found == pytest.approx(chances, rel=1e-4, abs=1e-9)
    assert max(found, key=found.get) == "P0" and sum(found.values()) < 1
