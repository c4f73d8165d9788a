import numpy as np
import pytest
from PIL import Image

from facehash import cli, pipeline
from facehash.command_line import run
from facehash.embedders.sface import SFace
from tests.helpers.face_data import photos, weights_dir


class MeanColours:
    """Twelve bits: which of the first four rows of a face are redder, greener, bluer than grey."""

    metric, dimension, side, crop, identity = "hamming", 12, 16, "box", "colours"

    def embed(self, faces):
        brighter = faces[:, :4].mean(axis=2).reshape(len(faces), 12) >= 128
        return np.packbits(brighter, axis=1, bitorder="little")


@pytest.fixture
def facehash(capsys, caplog, monkeypatch):
    """Run the command in this process; returns exit code, stdout and stderr.

    pytest keeps log lines off stderr; they are put back before the error that ends a command.
    """
    monkeypatch.setattr(pipeline, "make_embedder", lambda *_: MeanColours())
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run(cli.app, "facehash", [str(argument) for argument in arguments])
        printed = capsys.readouterr()
        logged = "".join(f"facehash: {record.message}\n" for record in caplog.records)
        caplog.clear()
        return stop.value.code, printed.out, logged + printed.err

    return call


@pytest.fixture
def red(tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "broken.jpg"


def test_a_code_is_printed_in_hexadecimal_and_bits(facehash, red):
    code, out, err = facehash("encode", "model", red, "--detector", "whole")
    # Bits 0, 3, 6, 9 are set: 1 + 8 + 64 = 0x49, then 2.
    assert (code, out, err) == (0, f"{red}\t1\t4902\t100100100100\n", "")


def test_every_face_of_every_photo_has_a_line(facehash):
    with_two, other = photos()[0], photos()[100]
    code, out, _ = facehash("encode", "model", with_two, other)
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [line[:2] for line in lines[:2]] == [
        [str(with_two), "1"],
        [str(with_two), "2"],
    ]
    assert lines[2][:2] == [str(other), "1"]
    assert all(len(line) == 4 and len(line[2]) == 4 and len(line[3]) == 12 for line in lines)


def test_a_photo_without_a_face_is_reported(facehash, red):
    assert facehash("encode", "model", red) == (1, "", f"facehash: {red}: no face found\n")


def test_unreadable_photos_are_reported_and_do_not_prevent_the_codes_of_others(
    facehash, red, broken, tmp_path
):
    code, out, err = facehash("encode", "model", broken)
    assert code == 2 and out == "" and err.count("\n") == 1 and "not a picture" in err
    code, out, err = facehash("encode", "model", broken, red, "--detector", "whole")
    assert code == 3 and out.startswith(f"{red}\t1\t")
    assert "broken.jpg: not a picture" in err and "1 of 2 photos could not be read" in err
    code, _, err = facehash("encode", "model", broken, tmp_path / "gone.jpg")
    assert code == 2 and err.endswith("facehash: 2 of 2 photos could not be read\n")


def test_an_embedder_without_codes_is_refused_with_the_remedy(facehash, monkeypatch, red):
    monkeypatch.setattr(pipeline, "make_embedder", lambda *_: SFace())
    code, _, err = facehash("encode", "sface", red)
    assert code == 2 and err.count("\n") == 1
    assert "sface: produces float vectors, not codes" in err and "--codes lsh:BITS" in err


def test_a_warning_names_a_crop_that_the_model_was_not_trained_on(facehash, monkeypatch, red):
    monkeypatch.setattr(MeanColours, "crop", "none")
    _, _, err = facehash("encode", "model", red)
    assert "this embedder was trained on uncropped pictures" in err
    assert facehash("encode", "model", red, "--detector", "whole")[2] == ""


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


def test_a_mistyped_name_is_found_before_anything_is_downloaded(facehash, tmp_path):
    code, _, err = facehash("weights", "fetch", "sface", "yunt", "--weights-dir", tmp_path)
    assert code == 2 and "'yunt' are unknown (did you mean 'yunet'?)" in err
