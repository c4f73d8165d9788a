"""The configuration of a run: strict, typed, from YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facehash.errors import InputError, did_you_mean
from facehash.printing import brief
from facehash.strict_yaml import parse_yaml

OptionsT = TypeVar("OptionsT", bound="Strict")
Share = Field(default=0.0, ge=0.0, le=1.0)

BEFORE_0_2: Mapping[str, Any] = {
    "dataset.split": "drawn",
    "dataset.duplicates": "keep",
    "training.freeze": [],
    "training.reestimate_statistics": False,
}
"""How runs and tables of version 0.1.0 were made: the values of keys that it did not have.

A key whose default is None needs no entry.
"""


class ConfigError(InputError):
    """An invalid configuration; the message names the key, the problem and valid values."""


class Strict(BaseModel):
    """A section of a configuration; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class DatasetConfig(Strict):
    """The faces, their size, and the split into training set, gallery and queries."""

    name: str = Field(min_length=1)  # in reports, and of the folder in FACEHASH_DATA
    # Of data/; None chooses it by the name or the path. vectors: float vectors instead of images.
    loader: str | None = None
    path: str | None = None  # relative to the YAML file; --data and FACEHASH_DATA take precedence
    side: int = Field(default=32, ge=8, le=1024)  # images are resized to side x side pixels
    crop: str = "none"  # how the faces were cropped; stored in the model
    # seen: queries show identities of the training set; unseen: identities held out of training;
    # leave_one_out: the same, and each image of these identities searches all others.
    protocol: Literal["seen", "unseen", "leave_one_out"] = "seen"
    queries_per_identity: int = Field(default=5, ge=1)  # used if the data has no split
    # Who is a query. drawn: a random draw among a person's rows; content: a ranking by a hash of
    # the pixels. A split that the data comes with takes precedence.
    split: Literal["drawn", "content"] = "drawn"
    # The same picture twice: keep, or drop copies, and pictures of several people altogether.
    duplicates: Literal["keep", "drop"] = "keep"
    max_per_identity: int | None = Field(default=None, ge=1)  # in training set and gallery
    split_seed: int = Field(default=0, ge=0)  # apart from `seed`, so that runs share a split


class AugmentationConfig(Strict):
    """Random changes of training images; `facehash.learning.augmentation` explains the keys."""

    flip: bool = False
    shift: int = Field(default=0, ge=0)
    brightness: float = Share
    contrast: float = Share
    erase: float = Share


class TrainingConfig(Strict):
    """Optimization; the defaults are the published settings of DDH and DCBH."""

    epochs: int = Field(default=200, ge=1)  # maximum number of passes over the training images
    batch: int = Field(default=256, ge=1)  # images per step
    optimizer: Literal["adam", "sgd"] = "adam"  # sgd with Nesterov momentum 0.9
    learning_rate: float = Field(default=1e-3, gt=0)  # of the first step
    schedule: Literal["constant", "cosine"] = "constant"  # cosine: to zero over all epochs
    # Epochs without improvement of `monitor` before training stops; None never stops.
    patience: int | None = Field(default=50, ge=1)
    monitor: Literal["loss", "val_loss"] = "loss"  # its minimum selects the best epoch
    validation: float = Field(default=0.0, ge=0.0, lt=1.0)  # share of training images held out
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    # Estimate the statistics of batch normalization from the training images: for the weights that
    # are kept, and before each validation. False: moving averages, which follow the weights slowly.
    reestimate_statistics: bool = True
    # Compile with XLA; auto: on JAX only. With true on TensorFlow, the same seed may give different
    # codes.
    jit: Literal[True, False, "auto"] = "auto"
    devices: Literal["one", "all"] = "one"  # all: each batch is split among them, on JAX only
    # Start from the weights of a .keras file or a run; relative to the YAML file, or else to the
    # working directory.
    initial_weights: str | None = None
    # Layers that keep their weights, by name or by the start of it, such as conv1.
    freeze: list[str] = []
    # The following keys change no result: a run may be resumed with other values of them.
    backup_seconds: float = Field(default=30.0, ge=0)  # minimum time between two backups
    checkpoint_every: int | None = Field(default=None, ge=1)  # epochs; None keeps only the best
    checkpoint_map: bool = False  # also compute the mAP of each on the validation split
    tensorboard: bool = False  # also write TensorBoard logs into the run directory

    @model_validator(mode="after")
    def _monitor_is_measured(self) -> TrainingConfig:
        if self.monitor == "val_loss" and self.validation == 0:
            raise ValueError("monitor 'val_loss' needs a validation share above 0, got 0")
        return self

    @model_validator(mode="after")
    def _checkpoints_are_scored(self) -> TrainingConfig:
        if self.checkpoint_map and self.checkpoint_every is None:
            raise ValueError("checkpoint_map needs checkpoint_every, the epochs between two")
        if self.checkpoint_map and self.validation == 0:
            raise ValueError("checkpoint_map needs a validation share above 0, got 0")
        return self


class RunConfig(Strict, Generic[OptionsT]):
    """The configuration of a run; `OptionsT` is the class of the method's own options."""

    method: str  # a name that `facehash.methods` knows
    bits: int = Field(default=48, ge=1, le=1024)
    seed: int = Field(default=0, ge=0, lt=2**32)  # weights, batch order, augmentation, validation
    # None: KERAS_BACKEND, or TensorFlow if that is not set.
    backend: Literal["tensorflow", "jax", "torch"] | None = None
    dataset: DatasetConfig
    model: OptionsT
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def input(self) -> Literal["image", "vectors"]:
        """What the data set holds and the network takes."""
        return "vectors" if self.dataset.loader == "vectors" else "image"

    @model_validator(mode="after")
    def _network_takes_the_data(self) -> RunConfig[OptionsT]:
        # The options of a method for vectors have an attribute input.
        taken = getattr(self.model, "input", "image")
        if taken == self.input:
            return self
        if taken == "image":
            raise ValueError(
                f"method {self.method} with this model: section takes images, and dataset.loader "
                "is vectors; use a method or a backbone for vectors, or a loader of images"
            )
        raise ValueError(
            f"method {self.method} with this model: section takes vectors: set dataset.loader to "
            f"vectors, got {self.dataset.loader}"
        )

    @model_validator(mode="after")
    def _only_images_are_augmented(self) -> RunConfig[OptionsT]:
        changed = [name for name, value in self.augmentation.model_dump().items() if value]
        if changed and self.input == "vectors":
            raise ValueError(
                f"augmentation.{changed[0]}: vectors cannot be augmented; remove the section"
            )
        return self

    @model_validator(mode="after")
    def _shift_fits(self) -> RunConfig[OptionsT]:
        if self.augmentation.shift * 2 >= self.dataset.side:
            raise ValueError(
                f"augmentation.shift {self.augmentation.shift} must be less than half of "
                f"dataset.side {self.dataset.side}"
            )
        return self

    def with_resolved(self, backend: str, data_path: str, folder: Path) -> RunConfig[OptionsT]:
        """Return a copy with the backend and the paths that are actually used.

        Args:
            backend: The Keras backend.
            data_path: Path of the data set.
            folder: The folder of the YAML file, to which other paths in it are relative.
        """
        dataset = self.dataset.model_copy(update={"path": data_path})
        training = self.training
        if training.initial_weights is not None:
            path = Path(training.initial_weights)
            found = path if path.exists() and not (folder / path).exists() else folder / path
            update = {"initial_weights": str(found.resolve())}
            training = training.model_copy(update=update)
        return self.model_copy(
            update={"backend": backend, "dataset": dataset, "training": training}
        )

    def continuing(self, stored: Mapping[str, Any]) -> Self:
        """Return a copy that continues a run of an earlier version as that version would.

        Keys of `BEFORE_0_2` that neither the stored configuration nor this one sets keep the
        earlier behaviour.

        Args:
            stored: The configuration in the run directory, as plain values, without keys added.
        """
        changed = self
        for dotted, value in BEFORE_0_2.items():
            name, key = dotted.split(".")
            section = getattr(changed, name)
            if key not in (stored.get(name) or {}) and key not in section.model_fields_set:
                section = section.model_copy(update={key: value})
                changed = changed.model_copy(update={name: section})
        return changed

    def to_yaml(self) -> str:
        """Return the configuration as YAML, including all defaults."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(
    path: Path,
    options_class: Callable[[str], type[OptionsT]],
    overrides: Sequence[str] = (),
) -> RunConfig[OptionsT]:
    """Read a configuration file.

    Args:
        path: A YAML file.
        options_class: Returns the options class of a method, as `facehash.methods.options_class`.
        overrides: ``section.key=value``, taking precedence over the file; the value is YAML.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong.
        YamlError: The file or an override is not valid YAML.

    Example:
        >>> from facehash.methods import options_class
        >>> load_config(Path("configs/quickstart.yaml"), options_class, ["bits=24"]).bits
        24
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: configuration cannot be read: {reason}") from error
    tree = parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path}: a configuration is a mapping of keys, got {type(tree).__name__}"
        )
    for override in overrides:
        _apply_override(tree, override)
    return check_config(tree, options_class, str(path))


def check_config(
    tree: Mapping[str, Any], options_class: Callable[[str], type[OptionsT]], source: str
) -> RunConfig[OptionsT]:
    """Check a configuration given as plain values; error messages start with `source`."""
    method = tree.get("method")
    if not isinstance(method, str):
        raise ConfigError(f"{source}: key 'method' must name a method, got {brief(method)}")
    try:
        options = options_class(method)
    except InputError as error:
        raise ConfigError(f"{source}: {error}") from error
    model = RunConfig[options]  # type: ignore[valid-type]
    try:
        return model.model_validate({"model": {}, **tree})
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe_errors(error, model)}") from error


def _apply_override(tree: dict[str, Any], override: str) -> None:
    """Set one ``section.key=value`` in `tree`."""
    dotted, equals, text = override.partition("=")
    if not equals or not all(dotted.split(".")):
        raise ConfigError(
            f"--set {override!r}: expected section.key=value, such as training.epochs=5"
        )
    *sections, key = dotted.split(".")
    for section in sections:
        if tree.get(section) is None:
            tree[section] = {}
        tree = tree[section]
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override!r}: {section!r} is a value, not a section")
    tree[key] = parse_yaml(text, f"--set {override!r}")


def describe_errors(error: ValidationError, model: type[BaseModel]) -> str:
    """Word the problems that pydantic found, as one line for an error message.

    Args:
        error: Raised while validating `model`.
        model: The model, whose keys are suggested in place of an unknown one.

    Returns:
        Such as ``"bits: input should be greater than or equal to 1, got 0; unknown key 'x'"``.
    """
    return "; ".join(_describe(problem, model) for problem in error.errors())


def _describe(problem: Any, model: type[BaseModel]) -> str:
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        hint = did_you_mean(location[-1], _keys_of(model, location[:-1]))
        return f"unknown key {brief('.'.join(location))}{hint}"
    # For a union, pydantic also names the branch that it tried, such as literal['auto'].
    where = ".".join(part for part in location if "[" not in part)
    if problem["type"] == "missing":
        return f"missing key {where!r}"
    message = problem["msg"].split(" or instance of ")[0]
    if problem["type"] == "value_error":
        message = message.removeprefix("Value error, ")
    else:
        message = f"{message[0].lower()}{message[1:]}"
    prefix = f"{where}: " if where else ""
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):
        return f"{prefix}{message}"  # a whole section is no help
    return f"{prefix}{message}, got {brief(problem['input'])}"


def _keys_of(model: type[BaseModel], section: Sequence[str]) -> list[str]:
    """List the valid keys of a section, such as ``training`` or ``rows.0``."""
    for part in section:
        field = model.model_fields.get(part)
        if field is None:
            continue  # the index of a list, or the key of a mapping
        types = (field.annotation, *get_args(field.annotation))
        sections = [one for one in types if isinstance(one, type) and issubclass(one, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return list(model.model_fields)
