import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from facehash.images.read import UnreadableImageError
from facehash.library.ingest.isolated import IsolatedReader
from tests.library import fakes
from tests.library.conftest import draw, save


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def special(color):
    image = draw(1)
    image = image.copy()
    image[0, 0] = color
    return png(image)


@pytest.fixture(scope="module")
def reader():
    spec = fakes.make_pipeline("yunet", "sface")
    with IsolatedReader(spec, "box", fakes.SIDE) as reader:
        yield reader


def test_an_upload_has_faces_crops_and_a_preview(reader):
    photo = draw(6, width=80)
    upload = reader.read_upload(png(photo), "party.png", preview_side=20)
    assert [face.box[2] for face in upload.faces] == [40, 40] and upload.scale == 1
    assert upload.crops.shape == (2, fakes.SIDE, fakes.SIDE, 3)
    assert upload.preview.size == (80, 40)
    assert Image.open(io.BytesIO(upload.preview.jpeg)).size == (20, 10)


def test_a_picture_that_ends_the_process_does_not_stop_the_next(reader):
    with pytest.raises(UnreadableImageError, match="evil.png: .* the process that read it died"):
        reader.read_upload(special(fakes.DEADLY), "evil.png", 20)
    assert len(reader.read_upload(png(draw(2)), "good.png", 20).faces) == 1


def test_problems_of_a_picture_come_in_one_line(reader):
    for content, message in (
        (b"", "x.png: not a picture: the file is empty"),
        (b"GIF89a", "x.png: "),
        (special(fakes.CHOKING), "RuntimeError: choked"),
    ):
        with pytest.raises(ValueError, match=message):
            reader.read_upload(content, "x.png", 20)


def test_a_preview_is_of_the_expected_content_only(reader, tmp_path):
    path = save(tmp_path / "a.png", draw(3))
    digest = hashlib.sha256(path.read_bytes()).digest()
    assert reader.preview(path, digest, 30).size == (40, 40)
    save(path, np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UnreadableImageError, match="the photo has changed"):
        reader.preview(path, digest, 30)


def test_a_picture_that_takes_too_long_is_given_up(tmp_path):
    spec = fakes.make_pipeline("yunet", "sface")
    with (
        IsolatedReader(spec, "box", fakes.SIDE, seconds=0) as reader,
        pytest.raises(UnreadableImageError, match="takes longer than 0 seconds"),
    ):
        reader.read_upload(png(draw(2)), "slow.png", 20)
