"""Starting from the weights of an earlier model, and layers that keep their weights."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from facehash.errors import InputError
from facehash.learning.hash_model import HashModel

# They may differ between two models of the same network.
_NOT_OF_THE_NETWORK = frozenset(
    {
        *("name", "trainable", "dtype", "identities", "pixel_mean", "pixel_std", "crop"),
        *("augmentation", "training_images", "earlier_identities", "vector_mean"),
    }
)


def take_weights(model: HashModel, source: HashModel, path: Path) -> str:
    """Copy the weights of an earlier model into a new one of the same network.

    What belongs to identities, such as the classifier and the centers of DCBH, is skipped unless
    both models have the same identities in the same order.

    Args:
        model: The new model; its weights change in place.
        source: The earlier model.
        path: The file of `source`, for messages.

    Returns:
        A line that says what was taken and what was not.

    Raises:
        InputError: The models are of different networks.

    Example:
        >>> earlier = methods.load(Path("runs/a/model.keras"))  # doctest: +SKIP
        >>> take_weights(model, earlier, Path("runs/a/model.keras"))  # doctest: +SKIP
        'weights of runs/a/model.keras: took 28 of 30 arrays, not those of logits: other people'
    """
    classes = [type(one).__name__ for one in (source, model)]
    if classes[0] != classes[1]:
        raise InputError(
            f"training.initial_weights {path}: holds a {classes[0]}, this configuration trains a "
            f"{classes[1]}"
        )
    same_people = model.identities == source.identities
    of_identities = [False] * len(model.weights) if same_people else _of_identities(model)
    if not _fit(model, source, of_identities):
        raise InputError(
            f"training.initial_weights {path}: another network: {_difference(model, source)}"
        )
    pairs = list(zip(model.weights, source.weights, of_identities, strict=True))
    for own, other, skipped in pairs:
        if not skipped:
            own.assign(other)
    taken = len(pairs) - sum(of_identities)
    line = f"weights of {path}: took {taken} of {len(pairs)} arrays"
    if same_people:
        return line
    layers = dict.fromkeys(_layer_of(model, own) for own, _, skipped in pairs if skipped)
    return f"{line}, not those of {', '.join(layers)}: other people"


def freeze_layers(model: HashModel, names: Sequence[str]) -> list[str]:
    """Keep layers as they are in training.

    A frozen batch-norm layer works as in inference, as everywhere in Keras: it uses its stored
    statistics and does not update them.

    Args:
        model: A model that is not compiled yet.
        names: Each selects all layers of the network whose names start with it: ``"conv1"``
            selects conv1 and conv1_norm, but not conv10.

    Returns:
        The names of the frozen layers, in the order of the network.

    Raises:
        InputError: A name selects no layer, or nothing would be left to train.

    Example:
        >>> freeze_layers(model, ["conv1", "conv2"])  # doctest: +SKIP
        ['conv1', 'conv1_norm', 'conv2', 'conv2_norm']
    """
    layers = layers_by_name(model)
    frozen = set()
    for start in names:
        selected = {name for name in layers if _selects(start, name)}
        if not selected:
            raise InputError(
                f"training.freeze {start!r}: no layer has a name that starts with it; "
                f"{type(model).__name__} has the layers {', '.join(layers)}"
            )
        frozen |= selected
    for name in frozen:
        layers[name].trainable = False
    if not model.trainable_variables:
        raise InputError("training.freeze: all layers are frozen; nothing is left to train")
    return [name for name in layers if name in frozen]


def layers_by_name(model: HashModel) -> dict[str, keras.layers.Layer]:
    """Return the layers of a network that have weights, in order.

    Names that Keras chose depend on the other models of the process; they are numbered anew, from
    ``dense``, ``dense_1`` on.
    """
    found, count = {}, Counter[str]()
    for layer in model.network.layers:
        name, automatic = layer.name, _snake_case(type(layer).__name__)
        if re.fullmatch(rf"{automatic}(_\d+)?", name):
            name = f"{automatic}_{count[automatic]}" if count[automatic] else automatic
            count[automatic] += 1
        if layer.weights:
            found[name] = layer
    return found


def _selects(start: str, name: str) -> bool:
    cut = start[-1:].isdigit() and name[len(start) : len(start) + 1].isdigit()
    return bool(start) and name.startswith(start) and not cut


def _snake_case(name: str) -> str:
    """Name a class as Keras names its layers: ``Conv2D`` becomes ``conv2d``."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _fit(model: HashModel, source: HashModel, skipped: Sequence[bool]) -> bool:
    """Whether all weights that are not skipped have the same shapes in both models."""
    if len(model.weights) != len(source.weights):
        return False
    return all(
        skip or tuple(own.shape) == tuple(other.shape)
        for own, other, skip in zip(model.weights, source.weights, skipped, strict=True)
    )


def _difference(model: HashModel, source: HashModel) -> str:
    there, here = source.get_config(), model.get_config()
    differing = [
        f"{key} is {there.get(key)!r} there and {here[key]!r} here"
        for key in here
        if key not in _NOT_OF_THE_NETWORK and here[key] != there.get(key)
    ]
    return ", ".join(differing) or "its weights have other shapes"


def _of_identities(model: HashModel) -> list[bool]:
    """Tell which weights depend on the identities: those that one more identity would change."""
    config = model.get_config()
    larger = type(model).from_config({**config, "identities": [*model.identities, "another"]})
    pairs = zip(model.weights, larger.weights, strict=True)
    return [tuple(own.shape) != tuple(other.shape) for own, other in pairs]


def _layer_of(model: HashModel, weight: Any) -> str:
    """Return the name of the layer that a weight belongs to."""
    layers = layers_by_name(model) | {
        layer.name: layer for layer in model.layers if layer is not model.network
    }
    for name, layer in layers.items():
        if any(weight is own for own in layer.weights):
            return name
    return str(weight.path)
