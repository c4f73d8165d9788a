import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from facehash.errors import InputError
from facehash.figures import style
from facehash.library.query.library import open_library
from facehash.library.views.strip import LAYOUT, draw_strip, make_tiles, write_strip
from tests.library import fakes


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


def test_a_strip_is_a_private_png_file(library, photos, tmp_path):
    results = library.search(photos / "party.png", k=2)
    write_strip(tmp_path / "strip.png", library, results)
    # Two rows: 0.16 + 1.5 + 0.2 + 2 * 1.6 + 0.16 inches wide, at 160 dots per inch.
    assert Image.open(tmp_path / "strip.png").size == (835, round((0.4 + 2 * 2.02) * 160))
    assert (tmp_path / "strip.png").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="its name must end in .png"):
        write_strip(tmp_path / "strip.jpg", library, results)
