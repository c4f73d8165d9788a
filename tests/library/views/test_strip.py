import numpy as np
import pytest
from PIL import Image

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from facehash.errors import InputError
from facehash.library.query.library import open_library
from facehash.library.views.strip import draw_strip, make_tiles, write_strip
from tests.library import fakes
from tests.library.conftest import draw, save


@pytest.fixture
def library(index, directory):
    index(names="folders")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        yield library


def pictures(figure):
    """Return the title and the picture of each axes."""
    return [
        (axes.get_title(), np.asarray(axes.get_images()[0].get_array())) for axes in figure.axes
    ]


def test_every_title_belongs_to_its_picture(library, photos):
    [answer] = library.search(photos / "Bo" / "0.png", k=7)
    drawn = pictures(draw_strip([make_tiles(library, answer)], "cosine distance"))
    assert len(drawn) == 1 + 7
    for (title, picture), path, name in zip(
        drawn,
        (answer.query, *(hit.path for hit in answer.hits)),
        ("0", *(hit.name or "no name" for hit in answer.hits)),
        strict=True,
    ):
        np.testing.assert_array_equal(picture, np.asarray(Image.open(path)))
        assert title == name
    assert sorted(title for title, _ in drawn[1:]) == sorted(
        ["Ann", "Ann", "Bo", "Cy", "Cy", "no name", "no name"]
    )


def test_the_face_that_was_found_is_framed(library, photos):
    answer = library.search(photos / "party.png", k=1)[1]
    [reference, hit] = make_tiles(library, answer, score=True)
    assert reference.box == hit.box == (40, 1, 40, 39)
    assert (reference.note, hit.note) == ("reference, face 2", "1:  1.000")


def test_a_large_photo_is_reduced_with_its_box(library, tmp_path):
    query = save(tmp_path / "large.png", draw(6, width=1760, height=880))
    reference = make_tiles(library, library.search(query, k=1)[1])[0]
    assert reference.picture.shape == (220, 440, 3)
    assert reference.box == pytest.approx((220, 0.25, 220, 219.75))


def test_a_photo_that_is_gone_is_shown_by_its_crop(library, photos, tmp_path):
    query = save(tmp_path / "query.png", draw(3))
    (photos / "Bo" / "0.png").unlink()
    hit = make_tiles(library, library.search(query, k=1)[0])[1]
    assert hit.title == "Bo" and hit.box is None and hit.picture.shape == (16, 16, 3)


def test_what_is_beyond_the_threshold_is_titled_unknown(library, photos, monkeypatch):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(1e-5, "made up"))
    tiles = make_tiles(library, library.search(photos / "Bo" / "0.png", k=3)[0])
    assert [tile.title for tile in tiles] == ["0", "Bo", "unknown", "unknown"]


def test_many_hits_go_on_in_the_next_line(library, photos, monkeypatch):
    monkeypatch.setattr("facehash.library.views.strip.COLUMNS", 3)
    tiles = make_tiles(library, library.search(photos / "Bo" / "0.png", k=7)[0])
    places = [axes.get_position().bounds for axes in draw_strip([tiles], "x").axes]
    assert len({round(bottom, 4) for _, bottom, *_ in places}) == 3
    assert len({round(left, 4) for left, *_ in places}) == 1 + 3


def test_a_strip_is_a_private_png_file(library, photos, tmp_path):
    answers = library.search(photos / "party.png", k=2)
    write_strip(tmp_path / "strip.png", library, answers)
    assert Image.open(tmp_path / "strip.png").size[0] > 700
    assert (tmp_path / "strip.png").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="a strip is a picture, its name ends in .png"):
        write_strip(tmp_path / "strip.jpg", library, answers)
