import numpy as np
import pytest

from facehash.library.query.library import open_library
from facehash.library.storage.database import LibraryError
from facehash.pipeline import FacePipeline
from tests.library import fakes
from tests.library.conftest import draw


@pytest.mark.parametrize("options", [{}, {"embedder": "hamming:12"}, {"codes": "itq:8"}])
def test_a_stored_face_finds_what_its_photo_finds(index, directory, options):
    index(names="folders", **options)
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        [by_photo] = library.search(draw(3), k=5)
        [by_id] = library.search_faces([library.stored_face(by_photo.hits[0].face_id)], k=5)
    assert by_id.hits == by_photo.hits and by_id.metric == by_photo.metric
    assert (by_id.face, by_id.crop) == (1, None)


def test_an_unknown_face_is_refused(index, directory):
    index()
    with (
        open_library(directory, make_pipeline=fakes.make_pipeline) as library,
        pytest.raises(LibraryError, match="there is no face 99"),
    ):
        library.stored_face(99)


def test_faces_found_elsewhere_give_the_results_of_their_photo(index, directory):
    index(names="folders")
    photo = draw(6, width=80)
    spec = fakes.make_pipeline("yunet", "sface")
    cropper = FacePipeline.create(spec).cropper
    found = cropper.find(photo)
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        faces = library.prepare(found, cropper.crop_faces(photo, found), scale=2.0)
        results = library.search_faces(faces, k=3)
        assert [one.hits for one in results] == [one.hits for one in library.search(photo, k=3)]
        assert library.search_faces([], k=3) == ()
    np.testing.assert_allclose([one.box for one in faces], np.array([one.box for one in found]) * 2)
