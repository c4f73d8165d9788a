import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facehash.codes import bits_from_packed, signs_from_packed
from facehash.embedders.registry import make_embedder
from facehash.errors import InputError
from facehash.learning.encoding import encode, projections
from tests.helpers.facehash_command import facehash

CONFIG = "method: ddh\nbits: 12\nbackend: tensorflow\ndataset: {}\ntraining: {}\n"


@pytest.fixture
def make_run(tmp_path, make_model):
    def make(config=CONFIG, **options):
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "config.yaml").write_text(config)
        model = make_model(**options)
        model.save(folder / "model.keras")
        return folder, model

    return make


def test_a_directory_or_a_model_file_is_enough(make_run):
    folder, _ = make_run()
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    for name in (f"run:{folder}", str(folder), f"run:{folder / 'model.keras'}"):
        assert make_embedder(name).identity == f"ddh:bits=12,size=32,crop=none,sha256={digest}"


def test_a_backend_that_is_not_installed_and_an_unsupported_crop_are_replaced(
    make_run, faces, caplog
):
    folder, _ = make_run(CONFIG.replace("tensorflow", "theano"), crop="by hand")
    with caplog.at_level(logging.WARNING, logger="facehash"):
        run = make_embedder(f"run:{folder}")
    assert run.crop == "box" and run.embed(faces.images[:2]).shape == (2, 2)
    assert "cropped as 'by hand', which facehash does not support" in caplog.text


def test_a_library_of_codes_of_a_run_is_searched(make_run, faces, tmp_path, monkeypatch):
    folder, model = make_run()
    for row in range(12):
        person = tmp_path / "photos" / faces.identities[faces.labels[row]]
        person.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.images[row]).save(person / f"{row}.png")
    monkeypatch.chdir(tmp_path)
    words = ["--detector", "whole", "--names", "folders", "--workers", "1"]
    code, out, _ = facehash("index", "photos", "--library", "lib", "--embedder", "run", *words)
    assert code == 0 and out.startswith("12 new photos with 12 faces")
    codes = bits_from_packed(encode(model, faces.images[:12]), 12)
    # From another folder: the library stores the absolute path of the run.
    monkeypatch.chdir(tmp_path / "photos")
    query = tmp_path / "photos" / "a" / "3.png"
    code, out, _ = facehash("search", "a/3.png", "--library", "../lib", "-k", 99, "--json")
    [answer] = json.loads(out)["answers"]
    assert code == 0 and answer["metric"] == "hamming"
    assert answer["hits"][0]["distance"] == 0 and len(answer["hits"]) == 12
    for hit in answer["hits"]:
        row = int(Path(hit["path"]).stem)
        assert hit["distance"] == (codes[row] != codes[3]).sum()
    for words in (["../lib", query], [folder, query, "--detector", "whole"]):
        code, out, _ = facehash("encode", *words)
        assert code == 0 and out.split()[-1] == "".join(map(str, codes[3].tolist()))
    # The run in another folder is the same embedder.
    folder.rename(tmp_path / "moved")
    code, _, err = facehash("search", query, "--library", "../lib")
    assert code == 2 and f"{folder}: no such run" in err
    words = ["../photos", "--library", "../lib", "--embedder", "run:../moved"]
    assert facehash("index", *words)[0] == 0
    assert facehash("search", query, "--library", "../lib")[0] == 0


def test_a_library_of_a_run_with_projections_is_searched_by_the_asymmetric_distance(
    make_run, faces, tmp_path
):
    scale = [0.5, *[1.0] * 11]
    folder, model = make_run(projection_scale=scale)
    for row in range(12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(faces.images[row]).save(tmp_path / "photos" / f"{row}.png")
    lib = tmp_path / "lib"
    words = ["--detector", "whole", "--workers", "1", "--embedder", f"run:{folder}"]
    assert facehash("index", tmp_path / "photos", "--library", lib, *words)[0] == 0
    p = projections(model, faces.images[3:4])[0] / scale
    signs = signs_from_packed(encode(model, faces.images[:12]), 12)
    query = tmp_path / "photos" / "3.png"
    code, out, _ = facehash("search", query, "--library", lib, "-k", 99, "--json")
    [result] = json.loads(out)["results"]
    assert code == 0 and result["metric"] == "asymmetric" and len(result["hits"]) == 12
    for hit in result["hits"]:
        wrong = signs[int(Path(hit["path"]).stem)] != np.where(p >= 0, 1, -1)
        assert hit["distance"] == pytest.approx(12 * abs(p[wrong]).sum() / abs(p).sum(), abs=1e-4)
    words = ("--distance", "hamming", "--json")
    code, out, _ = facehash("search", query, "--library", lib, *words)
    assert code == 0 and json.loads(out)["results"][0]["metric"] == "hamming"


def test_anything_but_a_finished_run_is_refused(tmp_path, make_run):
    folder, _ = make_run()
    (folder / "model.keras").unlink()
    (tmp_path / "empty").mkdir()
    for name, message in [
        (f"run:{folder}", "not finished"),
        (f"run:{tmp_path / 'gone'}", "no such run"),
        (f"run:{tmp_path / 'empty'}", "not a run directory"),
        (str(tmp_path / "empty"), "not a run directory"),
        (f"run:{folder},size=3", "unknown option 'size'"),
    ]:
        with pytest.raises(InputError, match=message):
            make_embedder(name)
