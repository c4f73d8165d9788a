"""Every method on every backbone: the network, the loss, a training, the stored model."""

import numpy as np
import pytest
from keras import ops

from facehash import methods
from facehash.errors import InputError
from facehash.learning.encoding import encode, retrieval_map
from facehash.runs.files import read_history
from tests.helpers.training import configure, run_training

NAMES = ("orthohash", "csq", "greedyhash", "dpn", "dcdh", "ndh")
TERMS = {
    "orthohash": {"cross_entropy"},
    "csq": {"central_similarity", "quantization"},
    "greedyhash": {"cross_entropy", "penalty"},
    "dpn": {"polarization"},
    "dcdh": {"cross_entropy", "separation", "regression"},
    "ndh": {"neighborhood", "quantization", "contrast", "feature_cross_entropy"},
}
LABELS = np.array([0, 1, 2, 2, 1, 1])


def numpy_outputs(model, images):
    return {name: ops.convert_to_numpy(tensor) for name, tensor in model(images).items()}


def entropy(logits):
    logits = logits.astype(float)
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), LABELS])


OTHERS = ~np.eye(6, dtype=bool)


def softmax(similarities):
    """The softmax of each row without the diagonal."""
    powers = np.exp(similarities.astype(float)) * OTHERS
    return powers / powers.sum(axis=1, keepdims=True)


def contrast(chances):
    """The mean over items of -log of the chances of the others with their label."""
    same = (LABELS[:, None] == LABELS) & OTHERS
    pairs = zip(chances, same, strict=True)
    return np.mean([-np.log(row[own]).mean() for row, own in pairs if own.any()])


@pytest.mark.parametrize("name", NAMES)
def test_the_outputs_keep_the_contract_and_the_config_restores_the_model(make_model, images, name):
    model = make_model(name)
    outputs = numpy_outputs(model, images)
    assert outputs["relaxed"].shape == (6, 8) and outputs["logits"].shape == (6, 3)
    np.testing.assert_allclose(outputs["relaxed"], np.tanh(outputs["code"]), atol=1e-6)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert methods.method_of(model) == name
    alone = numpy_outputs(model, images[:1])  # one photo is encoded as in a batch
    np.testing.assert_allclose(alone["relaxed"], outputs["relaxed"][:1], atol=1e-5)


def test_the_loss_of_each_method_is_the_sum_of_its_weighted_terms(make_model, images):
    options = {
        "orthohash": {"scale": 5.0, "margin": 0.1},
        "csq": {"quantization_weight": 0.3},
        "greedyhash": {"penalty_weight": 0.2},
        "dpn": {"margin": 0.8},
        "dcdh": {"separation_weight": 0.5, "regression_weight": 0.25},
        "ndh": {
            **{"teacher": 0.3, "student": 0.4, "quantization_weight": 0.2},
            **{"supervised_weight": 0.3, "feature_weight": 0.7},
        },
    }
    for name in NAMES:
        model = make_model(name, weight_decay=0.0, **options[name])
        out = numpy_outputs(model, images)
        code, relaxed = out["code"], out["relaxed"]
        if name in ("orthohash", "csq", "dpn"):
            held = ops.convert_to_numpy(model.network.get_layer("targets").targets)
            target = held[LABELS]
        if name == "orthohash":
            cosines = code @ held.T / np.linalg.norm(code, axis=1)[:, None] / np.sqrt(8)
            expected = {"cross_entropy": entropy(5 * (cosines - 0.1 * np.eye(3)[LABELS]))}
        elif name == "csq":
            chance = (1 + relaxed * target) / 2
            expected = {
                "central_similarity": -np.log(chance).mean(),
                "quantization": 0.3 * np.mean((np.abs(relaxed) - 1) ** 2),
            }
        elif name == "greedyhash":
            kernel = ops.convert_to_numpy(model.network.get_layer("logits").kernel)
            expected = {
                "cross_entropy": entropy(np.where(code >= 0, 1, -1) @ kernel),
                "penalty": 0.2 * np.mean(np.abs(np.abs(code) - 1) ** 3),
            }
        elif name == "dpn":
            expected = {"polarization": np.maximum(0.8 - code * target, 0).sum(axis=1).mean()}
        elif name == "ndh":
            features = out["teacher"] - out["teacher"].mean(axis=0)
            features /= np.linalg.norm(features, axis=1)[:, None]
            by_code = code / np.abs(code).mean(axis=0) @ relaxed.T
            student = [softmax(s / 8 / 0.4) for s in (relaxed @ relaxed.T, by_code)]
            wanted = softmax(features @ features.T / 0.3)
            logs = [np.log(wanted[OTHERS] / q[OTHERS]) for q in student]
            apart = [wanted[OTHERS] @ log / 6 for log in logs]
            expected = {
                "neighborhood": np.mean(apart),
                "quantization": 0.2 * np.mean(1 - np.abs(relaxed)),
                "contrast": 0.3 * contrast(student[0]),
                "feature_cross_entropy": 0.7 * entropy(out["feature_logits"]),
            }
        else:
            centers = ops.convert_to_numpy(model.network.get_layer("centers").centers)
            distances = ((code[:, None] - centers[None]) ** 2).sum(axis=2)
            units = centers / np.linalg.norm(centers, axis=1)[:, None]
            pairs = np.log1p(np.exp(4 * units @ units.T))[~np.eye(3, dtype=bool)]
            means = [np.where(code[LABELS == y] >= 0, 1, -1).mean(axis=0) for y in LABELS]
            agreed = np.where(np.array(means) + 0.25 * code >= 0, 1, -1)
            expected = {
                "cross_entropy": entropy(-0.125 * distances),
                "separation": 0.5 * pairs.mean(),
                "regression": 0.25 * ((code - agreed) ** 2).sum(axis=1).mean(),
            }
        model.compile()
        logs = model.evaluate(images, LABELS, verbose=0, return_dict=True)
        assert set(expected) == TERMS[name]
        for term, value in expected.items():
            assert logs[term] == pytest.approx(value, rel=1e-3), (name, term)
        assert logs["loss"] == pytest.approx(sum(expected.values()), rel=1e-3)


def test_centers_of_dcdh_are_not_compared_for_a_weight_of_0(make_model, images, monkeypatch):
    model = make_model("dcdh", separation_weight=0.0)
    monkeypatch.setattr("facehash.methods.dcdh.separation_loss", None)
    model.compile()
    logs = model.evaluate(images, LABELS, verbose=0, return_dict=True)
    assert logs["separation"] == 0 and logs["cross_entropy"] > 0


@pytest.mark.parametrize(
    "name, backbone",
    [
        ("orthohash", "ddh"),
        # In the quick lane the others learn from vectors.
        *(pytest.param(name, "ddh", marks=pytest.mark.full) for name in NAMES[1:]),
        *(pytest.param(name, "dcbh", marks=pytest.mark.full) for name in NAMES),
    ],
)
def test_each_method_learns_people_on_both_backbones(faces, tmp_path, name, backbone):
    epochs = {"ddh": 6, "dcbh": 14}[backbone]  # of DCBH, 8 are too few on some processors
    options = {"epochs": epochs, "learning_rate": 3e-3, "reestimate_statistics": backbone == "ddh"}
    config = configure(name, model={"backbone": backbone}, **options)
    run, outcome = run_training(config, faces, tmp_path / "run")
    history = read_history(run.history)
    terms = TERMS[name] | {"weight_decay"}
    assert set(history[0]) == terms | {"epoch", "loss", "accuracy", "seconds"}
    for row in history:
        assert row["loss"] == pytest.approx(sum(row[term] for term in terms), rel=1e-4)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["accuracy"] > 0.9
    if backbone == "ddh":  # the moving statistics of the ten layers of DCBH need more steps
        roles = [(faces.images[rows], faces.labels[rows]) for rows in (faces.gallery, faces.query)]
        assert retrieval_map(outcome.model, *roles) > 0.8  # chance is about 0.25
    codes = encode(outcome.model, faces.images)
    np.testing.assert_array_equal(encode(methods.load(run.model), faces.images), codes)


def test_the_backbones_are_those_of_ddh_and_dcbh(make_model):
    def names(model):
        return [layer.name for layer in model.network.layers if layer.weights]

    for backbone, features in (("ddh", 32), ("dcbh", 48)):
        model = make_model("csq", backbone=backbone)
        own = names(make_model(backbone))
        assert names(model)[: own.index("feature_norm") + 1] == own[: own.index("feature_norm") + 1]
        assert model.network.get_layer("feature").output.shape[1] == features
    assert make_model("csq", width=20).network.get_layer("feature").output.shape[1] == 20
    with pytest.raises(InputError, match="backbone ddh needs images of at least 24 x 24 pixels"):
        make_model("csq", side=16)
    with pytest.raises(InputError, match="backbone must be one of ddh, dcbh, vectors, got 'vgg'"):
        make_model("csq", backbone="vgg")
