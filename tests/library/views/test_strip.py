import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from facehash.errors import InputError
from facehash.figures import style
from facehash.library.query.library import open_library
from facehash.library.views.strip import LAYOUT, draw_strip, make_tiles, write_strip
from tests.library import fakes
from tests.library.conftest import draw, save


@pytest.fixture
def library(index, directory):
    index(names="folders")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        yield library


def test_every_title_belongs_to_its_picture(library, photos):
    [result] = library.search(photos / "Bo" / "0.png", k=7)
    [axes] = draw_strip([make_tiles(library, result)], "cosine distance").axes
    pictures, texts = axes.get_images(), [text.get_text() for text in axes.texts]
    assert len(pictures) == len(axes.patches) == 1 + 7
    for number, (path, title) in enumerate(
        [(result.query, "0"), *((hit.path, hit.name or "no name") for hit in result.hits)]
    ):
        drawn = np.asarray(pictures[number].get_array())
        np.testing.assert_array_equal(drawn, np.asarray(Image.open(path)))
        assert texts[3 * number] == title
    assert sorted(texts[3::3][:7]) == ["Ann", "Ann", "Bo", "Cy", "Cy", "no name", "no name"]
    assert texts[1::3][1].startswith("1:  0.000") and texts[-1] == "numbers: cosine distance"


def test_the_face_that_was_found_is_framed(library, photos):
    result = library.search(photos / "party.png", k=1)[1]
    [query, hit] = make_tiles(library, result, score=True)
    assert query.box == hit.box == (40, 1, 40, 39)
    assert (query.note, hit.note) == ("query, face 2", "1:  1.000")
    [axes] = draw_strip([[query, hit]], "x").axes
    # The photo of 80 x 40 pixels fills the width of its square, and half of its height.
    frame, scale = axes.patches[0], LAYOUT.side / 80
    assert to_hex(frame.get_edgecolor()).upper() == style.BLUE
    assert frame.get_xy() == pytest.approx(
        (LAYOUT.margin + 40 * scale, LAYOUT.head + LAYOUT.side / 4 + 1 * scale)
    )
    assert (frame.get_width(), frame.get_height()) == pytest.approx((40 * scale, 39 * scale))


def test_a_large_photo_is_reduced_with_its_box(library, tmp_path):
    query = save(tmp_path / "large.png", draw(6, width=1760, height=880))
    tile = make_tiles(library, library.search(query, k=1)[1])[0]
    assert tile.picture.shape == (220, 440, 3)
    assert tile.box == pytest.approx((220, 0.25, 220, 219.75))


def test_a_missing_photo_is_shown_by_its_crop(library, photos, tmp_path):
    query = save(tmp_path / "query.png", draw(3))
    (photos / "Bo" / "0.png").unlink()
    hit = make_tiles(library, library.search(query, k=1)[0])[1]
    assert hit.title == "Bo" and hit.box is None and hit.picture.shape == (16, 16, 3)


def test_faces_beyond_the_threshold_are_titled_unknown(library, photos, monkeypatch):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(1e-5, "made up"))
    tiles = make_tiles(library, library.search(photos / "Bo" / "0.png", k=3)[0])
    assert [tile.title for tile in tiles] == ["0", "Bo", "unknown", "unknown"]
    colors = (style.BLUE, style.GREEN, style.DARK_RED, style.DARK_RED)
    assert tuple(tile.color for tile in tiles) == colors


def test_a_row_of_more_than_ten_hits_continues_in_the_next(library, photos):
    [query, *hits] = make_tiles(library, library.search(photos / "Bo" / "0.png", k=7)[0])
    [axes] = draw_strip([[query, *hits, *hits, *hits]], "x").axes
    places = [text.get_position() for text in axes.texts[:-1:3]]  # of the titles
    assert len({round(top, 4) for _, top in places}) == 3
    assert len({round(left, 4) for left, _ in places}) == 1 + 10


def test_a_strip_is_a_private_png_file(library, photos, tmp_path):
    results = library.search(photos / "party.png", k=2)
    write_strip(tmp_path / "strip.png", library, results)
    # Two rows: 0.16 + 1.5 + 0.2 + 2 * 1.6 + 0.16 inches wide, at 160 dots per inch.
    assert Image.open(tmp_path / "strip.png").size == (835, round((0.4 + 2 * 2.02) * 160))
    assert (tmp_path / "strip.png").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="the name of a strip must end in .png"):
        write_strip(tmp_path / "strip.jpg", library, results)
