"""GreedyHash: a classifier of the binary code itself, whose gradient ignores the sign."""

from typing import Any

import keras
from keras import layers, ops

from facehash.methods.backbone import BackboneModel, signs


@keras.saving.register_keras_serializable("facehash")
class StraightThroughSign(layers.Layer):
    """Returns the signs of its input, and passes the gradient on unchanged.

    ``out = +1 where x >= 0, else -1``, and ``d loss / d x = d loss / d out``

    Input shape: any. Output shape: the same.

    Example:
        >>> ops.convert_to_numpy(StraightThroughSign()(ops.array([0.3, -2.0, 0.0]))).tolist()
        [1.0, -1.0, 1.0]
    """

    def call(self, code):
        """Compute the signs."""
        return code + ops.stop_gradient(signs(code) - code)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return the shape of the input."""
        return input_shape


def greedy_penalty(code, power: float = 3.0):
    """Compute how far codes are from their signs.

    ``loss = mean over batch and bits of | |code| - 1 |^power``, which is ``|code - sign(code)|``
    to that power.

    Args:
        code: Float tensor (batch, bits).
        power: 1 or larger. Defaults to 3.

    Returns:
        A scalar tensor, 0 or larger.

    Example:
        >>> float(greedy_penalty(ops.array([[3.0, -1.0], [-0.0, 1.0]])))  # (8 + 0 + 1 + 0) / 4
        2.25

    Reference:
        Su, Zhang, Han, Tian. Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in
        CNN. NeurIPS 2018.
    """
    return ops.mean(ops.power(ops.abs(ops.abs(code) - 1.0), power))


@keras.saving.register_keras_serializable("facehash")
class GreedyHash(BackboneModel):
    """The signs of the code are classified, with a straight-through gradient.

    ``loss = cross-entropy(W . sign(code)) + penalty_weight * mean | |code| - 1 |^power +
    weight_decay * sum of w^2``

    Args:
        penalty_weight: Weight of the penalty, 0 or larger. Defaults to 0.1.
        power: Exponent of the penalty, 1 or larger. Defaults to 3.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = GreedyHash(bits=16, identities=["ann", "bo"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Su, Zhang, Han, Tian. Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in
        CNN. NeurIPS 2018. facehash/methods/README.md lists the differences.
    """

    def __init__(self, *, penalty_weight: float = 0.1, power: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.penalty_weight = penalty_weight
        self.power = power
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss without weight decay."""
        return ("cross_entropy", "penalty")

    def classify(self, code, regularizer):
        """Return the logits of the signs; as in the released code, without bias."""
        binary = StraightThroughSign(name="binary")(code)
        classifier = layers.Dense(
            len(self.identities), use_bias=False, kernel_regularizer=regularizer, name="logits"
        )
        return classifier(binary)

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return both terms."""
        penalty = greedy_penalty(outputs["code"], self.power)
        terms = super().loss_terms(labels, outputs, training)
        return terms | {"penalty": self.penalty_weight * penalty}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"penalty_weight": self.penalty_weight, "power": self.power}
        return super().get_config() | own
