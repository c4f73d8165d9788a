"""``python -m experiments.export``: what it writes, verifies and refuses."""

import importlib.util

import numpy as np
import pytest

from data.loading import load
from experiments.run import exported
from experiments.run.export import app, draw_images
from experiments.run.exported import FORMATS, Comparison, ExportError, Format, compare
from facehash.hashing import LinearHash
from facehash.learning.backend import start_backend
from tests.helpers.facehash_command import command
from tests.helpers.linearhead import draw_vectors
from tests.helpers.training import configure, looks, run_training

NETWORKS = ("savedmodel", "onnx", "tflite")


def export(*words):
    return command(app, "experiments.export", *words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains a model briefly, once, and returns its run directory."""
    start_backend("tensorflow")
    made = {}

    def train(method="ddh", model=None, **training):
        key = repr((method, model, training))
        if key not in made:
            folder = tmp_path_factory.mktemp("runs") / method
            settings = {"epochs": 2, "batch": 18, "learning_rate": 1e-3} | training
            config = configure(method, **settings)
            if model:
                options = type(config.model)(**model)
                config = config.model_copy(update={"model": options})
            run_training(config, looks(), folder)
            made[key] = folder
        return made[key]

    return train


def test_a_run_is_exported_once_and_again_with_overwrite(trained):
    run = trained()
    target = run / "export" / "savedmodel"
    words = (run, "--to", "savedmodel", "--images", "16")
    code, out, err = export(*words)
    assert code == 0, err
    assert out.startswith(f"wrote {target}, ")
    assert "verified on 16 drawn images: outputs differ by at most" in out
    assert "bits compared, all equal" in out
    before = (target / "saved_model.pb").stat()
    assert export(*words) == (
        2, "", f"experiments.export: {target}: exists; --overwrite replaces it\n"
    )  # fmt: skip
    assert export(*words, "--overwrite")[0] == 0
    assert (target / "saved_model.pb").stat().st_ino != before.st_ino
    assert [path.name for path in target.parent.iterdir()] == ["savedmodel"]  # nothing else is left


@pytest.mark.full
@pytest.mark.parametrize(
    "method, model, training, to",
    [
        *(("ddh", {}, {}, to) for to in NETWORKS),  # locally connected, divide-and-encode
        *(("dcbh", {}, {}, to) for to in NETWORKS),  # block hashing
        ("ddh", {"hashing": "dense", "code_batch_norm": False}, {}, "tflite"),
        ("ddh", {}, {"precision": "mixed_bfloat16"}, "onnx"),
        ("dcbh", {"hashing": "divide_and_encode", "feature_classifier": False}, {}, "tflite"),
    ],
)
def test_every_network_is_exported_in_every_format(trained, method, model, training, to, tmp_path):
    file = trained(method, model, **training) / "model.keras"
    target = tmp_path / "new" / "model"
    code, out, err = export(file, "--to", to, "--output", target, "--images", "32")
    assert code == 0, err
    assert f"wrote {target}" in out and "verified on 32 drawn images" in out and target.exists()
    compared = int(out.split(" bits compared")[0].split("; ")[-1].replace(",", ""))
    assert 0.9 * 32 * 12 < compared <= 32 * 12


def test_a_linear_head_becomes_a_hash_without_keras(tmp_path):
    start_backend("tensorflow")
    from facehash.learning.encoding import encode

    vectors, labels = draw_vectors()
    file, run = tmp_path / "vectors.npz", tmp_path / "run"
    np.savez(file, vectors=vectors, labels=labels)
    config = configure(
        "ndh", dataset={"name": "vectors", "loader": "vectors"}, model={"backbone": "vectors"}
    )
    faces = load(config.dataset, file)
    _, outcome = run_training(config, faces, run)
    heads = []
    again = "--overwrite", "--data", file
    for words, described in (((), "drawn"), (again, "training")):
        code, out, err = export(run, "--to", "linear", "--images", "24", *words)
        assert code == 0, err
        assert f"verified on 24 {described} vectors" in out and "compared, all equal" in out
        with np.load(run / "export" / "model.npz") as arrays:
            heads.append(LinearHash.from_arrays(arrays))
    codes = encode(outcome.model, vectors)
    np.testing.assert_array_equal(heads[1].encode(vectors), codes)
    # Without the training vectors, the scale is that of the model: those have length 1 there.
    np.testing.assert_allclose(heads[0].scale, outcome.model.projection_scale, rtol=1e-6)
    size = np.abs(heads[1].projections(faces.read(faces.train))).mean(axis=0)
    np.testing.assert_allclose(size, 1, rtol=1e-5)


def test_only_a_linear_head_becomes_a_linear_hash(trained):
    code, _, err = export(trained(), "--to", "linear")
    assert code == 2 and not (trained() / "export" / "model.npz").exists()
    assert "no linear written: DDH is not a linear head of vectors, which model.backbone=" in err


def test_an_export_that_computes_something_else_is_not_kept(trained, tmp_path, monkeypatch):
    def write(model, path):
        path.write_text("wrong")

    def load(path):
        return lambda images: {"relaxed": np.zeros((len(images), 12)), "logits": np.zeros(())[None]}

    monkeypatch.setitem(FORMATS, "onnx", Format(".onnx", (), write, load))
    words = (trained() / "model.keras", "--to", "onnx", "--output", tmp_path / "model.onnx")
    code, out, err = export(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no onnx written: " in err and not list(tmp_path.iterdir())

    def broken(model, path):
        raise RuntimeError("no such operation\nand a page of details")

    monkeypatch.setitem(FORMATS, "onnx", Format(".onnx", (), broken, load))
    code, _, err = export(*words)
    assert code == 2 and err.endswith("cannot be converted: no such operation\n")


def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "onnx" in name else found(name)
    )
    code, _, err = export(tmp_path, "--to", "onnx")
    line = "--to onnx needs tf2onnx and onnx and onnxruntime: pip install -e '.[export]'\n"
    assert (code, err) == (2, f"experiments.export: {line}")


def test_nothing_but_an_earlier_export_is_replaced(trained, tmp_path):
    file = trained() / "model.keras"

    def refuse(to, target, message, *words):
        code, _, err = export(file, "--to", to, "--output", target, "--overwrite", *words)
        assert code == 2 and message in err and err.count("\n") == 1

    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "saved_model.pb").write_text("")
    (photos / "aunt.jpg").write_text("")
    refuse("savedmodel", photos, "photos: not an earlier SavedModel; choose another --output")
    assert len(list(photos.iterdir())) == 2
    refuse("savedmodel", photos / "aunt.jpg", "is a file; --to savedmodel writes a folder")
    refuse("tflite", photos, "is a folder; --to tflite writes a file")
    refuse("tflite", tmp_path / "new", "--data needs --config YAML", "--data", photos)
    code, _, err = export(tmp_path / "gone", "--to", "savedmodel")
    assert code == 2 and "gone: no such run or model file" in err
    code, _, err = export(trained(), "--to", "savedmodel", "--config", file)
    assert code == 2 and "has its own configuration; omit --config" in err


def test_outputs_are_compared_by_hand(monkeypatch):
    model = {"relaxed": np.float32([[0.5, -0.5, 0.0]]), "logits": np.float32([[200.0]])}

    def other(relaxed, logits=200.0):
        return {"relaxed": np.float32([relaxed]), "logits": np.float32([[logits]])}

    # Larger outputs are compared relative to their size: 0.01 / 200 is 5e-5.
    result = compare(model, other([0.5, -0.5, -0.00003], 200.01))
    assert result == Comparison(1, pytest.approx(5e-5, rel=1e-2), bits=2, undecided=1)
    for found, message in [
        (other([0.5, -0.5, 0.0002]), r"'relaxed' differs from the model's by 2\.0e-04, allowed"),
        (other([0.5, np.nan, 0.0]), "'relaxed' differs from the model's by nan"),
        (other([0.5, -0.5, 0.0], 200.1), "'logits' differs from the model's by 5.0e-04"),
        (other([0.5, -0.5]), r"'relaxed' has the shape \(1, 2\), the model's \(1, 3\)"),
        ({"relaxed": model["relaxed"]}, "the output 'logits' is missing; found: relaxed"),
    ]:
        with pytest.raises(ExportError, match=message):
            compare(model, found)
    monkeypatch.setattr(exported, "TOLERANCE", 2.0)
    with pytest.raises(ExportError, match="1 of 2 bits differ from the model's"):
        compare(model, other([0.5, 0.5, -0.1]))


def test_drawn_images_have_the_statistics_of_the_training_images():
    images = draw_images(np.random.default_rng(1), 64, 40, 118.0, 40.0)
    assert images.shape == (64, 40, 40, 3) and images.dtype == np.uint8
    assert images.mean() == pytest.approx(118, abs=1) and images.std() == pytest.approx(40, abs=1)
    assert len(np.unique(images.reshape(64, -1), axis=0)) == 64
