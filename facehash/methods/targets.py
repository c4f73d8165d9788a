"""Binary targets: one fixed code for each identity, which its images are trained to have."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import scipy.linalg
from keras import layers, ops
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.methods.backbone import BackboneModel

KINDS = ("auto", "hadamard", "balanced", "bernoulli")


def binary_targets(
    classes: int, bits: int, kind: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Choose a different code for each class.

    Args:
        classes: Number of classes, 1 or more.
        bits: Length of a code.
        kind: ``"hadamard"``: the rows of a Hadamard matrix H, then those of -H, so that two codes
            differ in half of their bits, or in all; this needs a power of two of bits, and at most
            twice as many classes as bits. ``"balanced"``: random codes with floor(bits / 2) ones.
            ``"bernoulli"``: each bit is 1 with probability 1/2. ``"auto"``: Hadamard where it is
            possible, else balanced.
        rng: Draws random codes.

    Returns:
        float32 (classes, bits) of -1 and +1, without equal rows.

    Raises:
        InputError: There are not so many codes of this kind.

    Example:
        >>> binary_targets(3, 4, "hadamard", np.random.default_rng(0)).astype(int).tolist()
        [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1]]

    Reference:
        Yuan et al. Central Similarity Quantization for Efficient Image and Video Retrieval. CVPR
        2020, the generation of hash centers. There, random centers may be equal.
    """
    power_of_two = bits & (bits - 1) == 0
    possible = {
        "hadamard": 2 * bits if power_of_two else 0,
        "balanced": math.comb(bits, bits // 2),
        "bernoulli": 2**bits,
    }
    if kind == "auto":
        kind = "hadamard" if classes <= possible["hadamard"] else "balanced"
    if kind not in possible:
        raise InputError(f"targets must be one of {', '.join(KINDS)}, got {kind!r}")
    if classes > possible[kind]:
        raise InputError(
            f"model.targets {kind}: {classes} people need different codes, and there are "
            f"{possible[kind]} of {bits} bits; use more bits or other targets"
        )
    if kind == "hadamard":
        matrix = scipy.linalg.hadamard(bits)
        return np.concatenate([matrix, -matrix])[:classes].astype(np.float32)
    half = np.arange(bits) < bits // 2

    def draw() -> NDArray[np.bool_]:
        return rng.permutation(half) if kind == "balanced" else rng.random(bits) < 0.5

    return np.where(_different(draw, classes), np.float32(1), np.float32(-1))


def _different(draw: Callable[[], NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
    """Draw rows until `count` of them differ."""
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        row = draw()
        found.setdefault(row.tobytes(), row)
    return np.stack(list(found.values()))


@keras.saving.register_keras_serializable("facehash")
class CodeTargets(layers.Layer):
    """Holds a binary target for each class, and returns the cosines of codes with them.

    ``out[b, c] = (codes[b] . target[c]) / (|codes[b]| * sqrt(bits))``

    The targets are weights that training does not change. They are drawn by the random seed of
    Keras, so that a run's `seed` decides them.

    Args:
        classes: Number of classes, 1 or more.
        kind: See `binary_targets`.

    Input shape: (batch, bits). Output shape: (batch, classes), -1 to 1.

    Example:
        >>> CodeTargets(classes=30, kind="balanced")(np.ones((5, 16), np.float32)).shape
        TensorShape([5, 30])
    """

    def __init__(self, classes: int, kind: str, **kwargs: Any) -> None:
        # Keras draws the seed of an initializer without one from that of the process. This comes
        # first: whatever starts a backend, as the first layer may, can draw from the same source.
        seed = keras.initializers.RandomUniform().seed
        super().__init__(**kwargs)
        self.classes = classes
        self.kind = kind
        self._seed = seed

    def build(self, codes_shape: tuple[int | None, ...]) -> None:
        """Choose the targets (classes, bits)."""
        rng = np.random.default_rng(self._seed)
        targets = binary_targets(self.classes, int(codes_shape[-1] or 0), self.kind, rng)
        self.targets = self.add_weight(
            shape=targets.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(targets, dtype=dtype),
            trainable=False,
            name="targets",
        )

    def call(self, codes):
        """Compute the cosines of (batch, bits) with all targets."""
        # Not the root of 0, whose gradient is infinite.
        length = ops.sqrt(ops.maximum(ops.sum(ops.square(codes), -1, keepdims=True), 1e-12))
        cosines = ops.matmul(codes / length, ops.transpose(self.targets))
        return cosines / math.sqrt(codes.shape[-1])

    def of(self, labels):
        """Return the targets (batch, bits) of integer labels (batch,)."""
        return ops.take(self.targets, labels, axis=0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, classes)."""
        return (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes, "kind": self.kind}


class TargetModel(BackboneModel):
    """A network whose identities have fixed binary targets; the base of the methods with such.

    Args:
        targets: How targets are chosen, see `binary_targets`.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.
    """

    def __init__(self, *, targets: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_kind = targets

    def classify(self, code, regularizer):
        """Return the cosines (batch, classes) with the targets; not every loss uses them."""
        targets = CodeTargets(
            *(len(self.identities), self.target_kind), dtype="float32", name="targets"
        )
        return targets(code)

    def targets_of(self, labels):
        """Return the targets (batch, bits) of integer labels (batch,)."""
        return self.network.get_layer("targets").of(labels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"targets": self.target_kind}
