"""Three earlier systems, each of which is a choice of options here."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facehash.images.read import read_image
from tests.conftest import shared_path
from tests.helpers.face_data import copy_people, weights_dir
from tests.helpers.facehash_command import facehash


@pytest.fixture(autouse=True)
def _weights(monkeypatch):
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))


def test_haar_and_a_network_find_the_best_photos_shown_as_a_strip(tmp_path):
    photos = copy_people(tmp_path / "photos", (2, 6), photos_each=3)
    words = ["--detector", "haar,keep=largest", "--workers", "1"]
    embedder = f"keras:{shared_path('weights', 'facenet_128.keras')},size=160,normalization=caffe"
    library, strip = tmp_path / "lib", tmp_path / "strip.png"
    code, out, _ = facehash("index", photos, "--library", library, *words, "--embedder", embedder)
    assert code == 0 and out.startswith("12 new photos with 1")
    query = min(photos.glob("*/*.jpg"))
    words = ["search", query, "--library", library, "-k", 5, "--strip", strip, "--json"]
    [result] = json.loads(facehash(*words)[1])["results"]
    found = [hit["path"] for hit in result["hits"]]
    assert found[0] == str(query) and len(set(found)) == 5
    # The reference, five matches, and their margins, at 160 pixels an inch.
    assert Image.open(strip).width == round((0.16 * 2 + 1.5 + 0.2 + 5 * 1.6) * 160)


def test_facenet_over_folders_of_people_shows_scores_in_a_grid(tmp_path):
    photos = copy_people(tmp_path / "photos", (4, 4), photos_each=3)
    facenet = shared_path("weights", "facenet_128.keras")
    embedder = f"keras:{facenet},size=160,normalization=per_image,metric=euclidean"
    library, page = tmp_path / "lib", tmp_path / "grid.html"
    words = ["--names", "folders", "--workers", "1", "--embedder", embedder]
    assert facehash("index", photos, "--library", library, *words)[0] == 0
    person = sorted(photos.iterdir(), key=lambda folder: -len(list(folder.iterdir())))[0]
    query = min(person.iterdir())
    words = ["search", query, "--face", 1, "--library", library, "-k", 6, "--score"]
    code, out, _ = facehash(*words, "--html", page, "--csv", tmp_path / "hits.csv")
    with (tmp_path / "hits.csv").open(newline="") as table:
        hits = list(csv.DictReader(table))
    assert code == 0 and hits[0]["path"] == str(query)
    threshold = 11.256  # as measured on LFW
    assert [hit["name"] for hit in hits[:3]] == [person.name] * 3
    # A line without a number says why a face has no verdict.
    lines = [line for line in out.splitlines()[1:] if line.split()[0].isdecimal()]
    for line, hit in zip(lines, hits, strict=True):
        distance = float(hit["distance"])
        assert line.split()[1] == f"{1 / (1 + distance):.3f}"
        # Small faces of passers-by have no verdict.
        assert hit["known"] in ("", str(distance <= threshold))
    assert [hit["known"] for hit in hits[:3]] == ["True"] * 3
    _check_grid(page.read_text(encoding="utf-8"), hits)


def _check_grid(text, hits):
    """See that in each cell of the page the name, the score and the photo are of one hit."""
    cells = re.findall(r"<li .*?</li>", text, re.DOTALL)
    assert len(cells) == len(hits)
    for cell, hit in zip(cells, hits, strict=True):
        [title] = re.findall(r"<strong>(.*?)</strong>", cell)
        shown = {"True": hit["name"], "False": "unknown", "": "no verdict"}[hit["known"]]
        assert title.replace("<wbr>", "") == (shown or '<span class="nobody">no name</span>')
        assert f'<span class="number">{float(hit["score"]):.3f}</span>' in cell
        [(width, height, jpeg)] = re.findall(
            r'viewBox="0 0 (\d+) (\d+)".*?<image href="data:image/jpeg;base64,([^"]+)"', cell
        )
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg))), float)
        photo = read_image(Path(hit["path"]))
        assert (int(height), int(width)) == photo.shape[:2]
        assert np.abs(drawn - photo).mean() < 4
