import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from facehash.library.query.library import open_library
from facehash.library.views.html import write_page
from tests.library import fakes
from tests.library.conftest import draw, save

HOSTILE = '"><script>alert(1)<!--&'


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def render(index, directory, photos, tmp_path):
    def render(query, **options):
        with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
            write_page(tmp_path / "page.html", library, library.search(query, k=3), **options)
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        return text, Page(text)

    return render


def test_a_page_shows_hits_with_framed_photos_and_loads_nothing(index, render, photos, tmp_path):
    index(names="folders")
    text, page = render(photos / "party.png")
    # For each of the two faces: its crop and those of three hits, and as many whole photos.
    assert len(page.all("img")) == 8 and len(page.all("svg")) == 8
    frames = [(frame["x"], frame["y"], frame["width"]) for frame in page.all("rect")]
    assert (frames[0], frames[4]) == (("0.0", "0.0", "40.0"), ("40.0", "1.0", "40.0"))
    assert page.all("svg")[0]["viewbox"] == "0 0 80 40"
    source = page.all("image")[0]["href"].removeprefix("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(source))).size == (80, 40)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600
    # It loads nothing from anywhere.
    links = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert links and all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert "http" not in re.sub(r"http-equiv", "", text) and "url(" not in text
    [policy] = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'")


def test_names_cannot_break_out_of_a_page(index, render, photos):
    folder = photos / HOSTILE.replace("/", "")
    save(folder / f"{HOSTILE}.png".replace("/", ""), draw(70))
    index(names="folders")
    text, page = render(folder / f"{HOSTILE}.png")
    assert not page.all("script") and "<script" not in text
    assert HOSTILE in "".join(page.text)


def test_a_missing_photo_is_shown_by_its_crop(index, render, photos, tmp_path):
    index()
    query = save(tmp_path / "query.png", draw(3))
    (photos / "Bo" / "0.png").unlink()
    text, page = render(query)
    assert "This photo is missing or has changed" in text
    assert len(page.all("img")) == 4 and len(page.all("svg")) == 3
