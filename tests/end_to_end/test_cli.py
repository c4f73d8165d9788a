import numpy as np
import pytest
from PIL import Image

from facehash import pipeline
from facehash.embedders.sface import SFace
from tests.commands.conftest import run_facehash  # noqa: F401
from tests.helpers.face_data import weights_dir


class MeanColours:
    """Twelve bits: which of the first four rows of a face are redder, greener, bluer than grey."""

    metric, dimension, side, crop, identity = "hamming", 12, 16, "box", "colours"

    def embed(self, faces):
        brighter = faces[:, :4].mean(axis=2).reshape(len(faces), 12) >= 128
        return np.packbits(brighter, axis=1, bitorder="little")


@pytest.fixture
def facehash(run_facehash, monkeypatch):  # noqa: F811
    monkeypatch.setattr(pipeline, "make_embedder", lambda *_: MeanColours())
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    return run_facehash


@pytest.fixture
def red(tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_a_code_is_printed_in_hexadecimal_and_bits(facehash, red):
    code, out, err = facehash("encode", "model", red, "--detector", "whole")
    # Bits 0, 3, 6, 9 are set: 1 + 8 + 64 = 0x49, then 2.
    assert (code, out, err) == (0, f"{red}\t1\t4902\t100100100100\n", "")


def test_a_photo_without_a_face_is_reported(facehash, red):
    assert facehash("encode", "model", red) == (1, "", f"facehash: {red}: no face found\n")


def test_unreadable_photos_are_reported_and_do_not_prevent_the_codes_of_others(
    facehash, red, tmp_path
):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    code, out, err = facehash("encode", "model", broken, red, "--detector", "whole")
    assert code == 3 and out.startswith(f"{red}\t1\t")
    assert "broken.jpg: not a picture" in err and "1 of 2 photos could not be read" in err
    code, _, err = facehash("encode", "model", broken, tmp_path / "gone.jpg")
    assert code == 2 and err.endswith("facehash: 2 of 2 photos could not be read\n")


def test_an_embedder_without_codes_is_refused_with_the_remedy(facehash, monkeypatch, red):
    monkeypatch.setattr(pipeline, "make_embedder", lambda *_: SFace())
    code, _, err = facehash("encode", "sface", red)
    assert code == 2 and err.count("\n") == 1
    assert "sface: produces float vectors, not codes" in err and "--codes itq:64" in err


def test_weights_are_listed_with_source_licence_digest_and_place(facehash):
    code, out, _ = facehash("weights", "list")
    assert code == 0
    assert f"here: {weights_dir() / 'face_detection_yunet_2023mar.onnx'}" in out
    for words in ("MIT", "Apache-2.0", "CC-BY-4.0", "0ba9fbfa", "https://", "0.2 MB"):
        assert words in out
    assert "get it with: facehash weights fetch vgg16" in out


def test_weights_are_added_fetched_without_a_network_and_checked(facehash, tmp_path):
    file = weights_dir() / "face_detection_yunet_2023mar.onnx"
    code, out, err = facehash("weights", "add", file, "--weights-dir", tmp_path)
    assert (code, out, err) == (0, f"{tmp_path / file.name}\n", "")
    assert facehash("weights", "fetch", "yunet", "--weights-dir", tmp_path)[:2] == (0, out)
    (tmp_path / file.name).write_bytes(b"damage")
    code, out, _ = facehash("weights", "list", "--weights-dir", tmp_path)
    assert code == 0 and "DAMAGED: " in out and "has 6 bytes, not 232589" in out
