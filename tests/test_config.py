import re
from pathlib import Path

import pytest

from ddh.options import Options
from facehash import methods
from facehash.config import ConfigError, load_config
from facehash.strict_yaml import YamlError
from tests.conftest import ROOT
from tests.helpers import linearhead

SMALL = "method: ddh\ndataset: {name: orl}\n"
SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))


def load(tmp_path: Path, text: str, *overrides: str):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path, methods.options_class, overrides)


def test_defaults_are_the_published_settings(tmp_path):
    config = load(tmp_path, SMALL)
    training = config.training
    assert (config.bits, config.seed, config.dataset.side) == (48, 0, 32)
    assert (training.epochs, training.batch, training.patience) == (200, 256, 50)
    assert (training.optimizer, training.learning_rate) == ("adam", 1e-3)
    assert (training.monitor, training.validation) == ("loss", 0.0)
    assert config.model == Options(
        block=4, code_batch_norm=True, quantization_weight=0.01, weight_decay=1e-4
    )


def test_a_run_of_an_earlier_version_continues_as_that_version_would(tmp_path):
    config = load(tmp_path, SMALL)
    assert config.training.reestimate_statistics
    stored = {"training": {"epochs": 5}, "dataset": {"split": "content"}}
    assert not config.continuing(stored).training.reestimate_statistics
    assert config.continuing(stored | {"training": {"reestimate_statistics": False}}) == config
    chosen = load(tmp_path, SMALL, "training.reestimate_statistics=true")
    assert chosen.continuing(stored) == chosen


def test_overrides_take_precedence_over_the_file_and_are_yaml(tmp_path):
    config = load(
        tmp_path,
        SMALL + "bits: 24\ntraining: {epochs: 7, learning_rate: 3e-4}",
        "bits=12",
        "training.patience=null",
        "augmentation.flip=true",
        "model.block=8",
    )
    training = config.training
    assert (config.bits, training.patience, training.learning_rate) == (12, None, 3e-4)
    assert (config.augmentation.flip, config.model.block, training.epochs) == (True, 8, 7)
    assert load(tmp_path, config.to_yaml()) == config  # what is written reads back the same


@pytest.mark.parametrize(
    "text, expected",
    [
        (SMALL + "bit: 12", "unknown key 'bit' (did you mean 'bits'?)"),
        (SMALL + f"? {'x' * 10_000}\n: 1", "unknown key 'xxx"),
        (SMALL + "model: {blok: 3}", "unknown key 'model.blok' (did you mean 'block'?)"),
        ("method: ddh", "missing key 'dataset'"),
        ("method: ddx\ndataset: {name: x}", "method 'ddx' is unknown (did you mean 'ddh'?)"),
        ("dataset: {name: x}", "key 'method' must name a method, got None"),
        (SMALL + "bits: 0", "bits: input should be greater than or equal to 1, got 0"),
        (SMALL + "bits: '48'", "bits: input should be a valid integer, got '48'"),
        (SMALL + "training: {learning_rate: .inf}", "training.learning_rate"),
        (SMALL + "training: {optimizer: adamw}", "'adam' or 'sgd', got 'adamw'"),
        (SMALL + "training: {monitor: val_loss}", "needs a validation share above 0"),
        (SMALL + "training: {checkpoint_map: true}", "needs checkpoint_every"),
        (SMALL + "training: {checkpoint_every: 2, checkpoint_map: true}", "needs a validation"),
        (SMALL + "training: {checkpoint_every: 0}", "training.checkpoint_every: input should be"),
        (SMALL + "training: {freeze: conv1}", "training.freeze: input should be a valid list"),
        (SMALL + "augmentation: {shift: 16}", "must be less than half of dataset.side 32"),
        ("", "a configuration is a mapping of keys, got NoneType"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, expected):
    with pytest.raises((ConfigError, YamlError)) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(str(tmp_path / "config.yaml"))
    assert "\n" not in message


def test_all_problems_are_reported_at_once(tmp_path):
    with pytest.raises(ConfigError, match="bits: .* got 0; unknown key 'x'"):
        load(tmp_path, SMALL + "x: 1\nbits: 0")


@pytest.mark.parametrize(
    "override, expected",
    [
        ("epochs", "expected section.key=value"),
        ("method.x=3", "'method' is a value, not a section"),
        ("bits=[1", "not valid YAML"),
        ("training.epoch=3", "did you mean 'epochs'?"),
    ],
)
def test_a_wrong_override_is_named(tmp_path, override, expected):
    with pytest.raises((ConfigError, YamlError)) as caught:
        load(tmp_path, SMALL, override)
    assert expected in str(caught.value)


def test_a_missing_or_binary_file_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(path, methods.options_class)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path, methods.options_class)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_shipped_configuration_is_valid_and_opens_with_what_a_reader_needs(path):
    config = load_config(path, methods.options_class)
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert path.read_text().startswith("# ")
    assert re.search(r"(IJCAI|ACCV|NeurIPS|CVPR|Pattern Recognition) 20[12]\d|\(ours", head[0])
    for word in ("Command:", "python train.py", "Hardware:", "Duration:", "Result:"):
        assert any(word in line for line in head), word
    assert path.relative_to(ROOT).as_posix() in "\n".join(head)
    assert config.dataset.path is None, "data paths come from the user"


@pytest.mark.parametrize("name", ["youtube_faces", "facescrub"])
def test_the_papers_configurations_hold_the_published_hyper_parameters(name):
    config = load_config(ROOT / "configs" / "ddh" / f"{name}.yaml", methods.options_class)
    assert config.dataset.loader == "ddh_pickles"
    assert config.model == Options()
    assert config.training == type(config.training)()


def test_initial_weights_are_found_beside_the_yaml_file_or_else_where_the_command_runs(
    tmp_path, monkeypatch
):
    work, yaml = tmp_path / "work", tmp_path / "configs"
    for folder, name in ((work, "a.keras"), (work, "b.keras"), (yaml, "a.keras")):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    monkeypatch.chdir(work)
    config = load(tmp_path, SMALL)

    def resolved(path):
        training = config.training.model_copy(update={"initial_weights": str(path)})
        changed = config.model_copy(update={"training": training})
        return changed.with_resolved("jax", "/data", yaml).training.initial_weights

    assert resolved("a.keras") == str(yaml / "a.keras")
    assert resolved("b.keras") == str(work / "b.keras")
    assert resolved("c.keras") == str(yaml / "c.keras")
    assert resolved(work / "a.keras") == str(work / "a.keras")
    assert config.with_resolved("jax", "/data", yaml).training.initial_weights is None


@pytest.mark.parametrize(
    "method, override, message",
    [
        ("ddh", "dataset.loader=vectors", "method ddh .*takes images, and dataset.loader is vect"),
        ("dcbh", "dataset.loader=vectors", "method dcbh .*takes images, and dataset.loader is vec"),
        ("linearhead", "bits=8", "takes vectors: set dataset.loader to vectors, got None"),
        ("linearhead", "augmentation.flip=true", "augmentation.flip: vectors cannot be augmented"),
    ],
)
def test_networks_and_data_of_different_kinds_are_refused(tmp_path, method, override, message):
    linearhead.install()
    text = SMALL.replace("ddh", method)
    loader = ["dataset.loader=vectors"] if override.startswith("augmentation") else []
    with pytest.raises(ConfigError, match=message) as error:
        load(tmp_path, text, *loader, override)
    assert "\n" not in str(error.value)
