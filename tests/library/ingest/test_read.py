import dataclasses
import os

import numpy as np
from PIL import Image

from facehash.files import FileState
from facehash.library.ingest.read import PhotoReader, ReadOptions, encode_jpeg
from tests.library import fakes
from tests.library.conftest import draw, save

OPTIONS = ReadOptions(fakes.make_pipeline("halves", "cosine:4"), "box", 16)


def read(path):
    return PhotoReader(OPTIONS, []).read(path, FileState(100, 0))


def test_problems_with_a_file_are_returned_and_not_raised(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"bad")
    assert read(tmp_path / "bad.png").reason == "not_a_picture"
    assert read(tmp_path / "none.png").reason == "missing"
    assert read(tmp_path).reason == "not_a_file"
    large = PhotoReader(OPTIONS, []).read(tmp_path / "bad.png", FileState(10**12, 0))
    assert large.reason == "too_large_file" and large.digest is None
    # A file that has become a pipe since the scan does not block.
    os.mkfifo(tmp_path / "pipe.png")
    assert read(tmp_path / "pipe.png").reason == "not_a_file"


def test_the_message_is_one_line_of_text_without_the_path(tmp_path):
    class Failing:
        def detect(self, image):
            raise RuntimeError(f"two\nlines about {name}")

    name = os.fsdecode(b"caf\xe9.png")
    reader = PhotoReader(OPTIONS, [])
    (tmp_path / name).write_bytes(b"bad")
    assert reader.read(tmp_path / name, FileState(3, 0)).detail == "not a picture in a known format"
    reader._cropper = dataclasses.replace(reader._cropper, detector=Failing())
    message = reader.read(save(tmp_path / "a.png", draw(1)), FileState(100, 0)).detail
    assert message == "RuntimeError: two lines about caf?.png"


def test_faces_are_embedded_where_they_are_read_on_request(tmp_path):
    path = save(tmp_path / "a.png", draw(1, width=80))
    reader = PhotoReader(dataclasses.replace(OPTIONS, embed=True), [])
    photo = reader.read(path, FileState(100, 0))
    expected = fakes.make_embedder("cosine:4").embed(photo.crops)
    assert np.array_equal(photo.rows, expected) and read(path).rows is None
    black = save(tmp_path / "black.png", np.zeros((20, 20, 3), np.uint8))
    assert reader.read(black, FileState(100, 0)).rows is None


def test_stored_pictures_are_small_and_not_stretched(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(np.zeros((300, 600, 3), np.uint8), 100))
    assert Image.open(path).size == (100, 50)


def test_an_embedder_that_fails_costs_one_photo(tmp_path):
    class Failing:
        def embed(self, faces):
            raise RuntimeError("no memory")

    reader = PhotoReader(dataclasses.replace(OPTIONS, embed=True), [])
    reader._embedder = Failing()
    photo = reader.read(save(tmp_path / "a.png", draw(1)), FileState(100, 0))
    assert (photo.reason, photo.detail) == ("embedder", "RuntimeError: no memory")
    assert not photo.faces and photo.crops is None
