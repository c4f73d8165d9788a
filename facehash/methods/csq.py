"""CSQ, Central Similarity Quantization: every bit is a binary classifier of its target."""

from typing import Any

import keras
from keras import ops

from facehash.methods.targets import TargetModel


def central_similarity_loss(targets, code):
    """Compute the binary cross-entropy between relaxed bits and target bits.

    ``loss = -mean over b, j of [ c log p + (1 - c) log(1 - p) ]`` with ``p = (1 + tanh(code)) / 2``
    and ``c = (1 + target) / 2``. As p is the sigmoid of twice the code, a term is
    ``log(1 + e^(-2 code target))``, which no code makes infinite.

    Args:
        targets: Float tensor (batch, bits) of -1 and +1: the target of each image.
        code: Float tensor (batch, bits), before the tanh.

    Returns:
        A scalar tensor in nats, averaged over batch and bits.

    Example:
        >>> round(float(central_similarity_loss(ops.array([[1.0, -1.0]]), ops.zeros((1, 2)))), 4)
        0.6931

    Reference:
        Yuan et al. Central Similarity Quantization for Efficient Image and Video Retrieval. CVPR
        2020, the central similarity loss.
    """
    return ops.mean(ops.softplus(-2.0 * code * targets))


@keras.saving.register_keras_serializable("facehash")
class CSQ(TargetModel):
    """Codes near fixed, well separated centers, one for each identity.

    ``loss = central_similarity_loss + quantization_weight * mean( (|h| - 1)^2 )``

    Args:
        quantization_weight: Weight of the quantization term, 0 or larger. Defaults to 0.05, as in
            the released code.
        targets: How centers are chosen, see `facehash.methods.targets.binary_targets`. Defaults to
            ``"auto"``.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = CSQ(bits=16, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Yuan, Wang, Zhang, Tay, Jie, Liu, Feng. Central Similarity Quantization for Efficient Image
        and Video Retrieval. CVPR 2020. facehash/methods/README.md lists the differences.
    """

    def __init__(
        self, *, quantization_weight: float = 0.05, targets: str = "auto", **kwargs: Any
    ) -> None:
        super().__init__(targets=targets, **kwargs)
        self.quantization_weight = quantization_weight
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss without weight decay."""
        return ("central_similarity", "quantization")

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return both terms."""
        targets = self.targets_of(labels)
        quantization = ops.mean(ops.square(ops.abs(outputs["relaxed"]) - 1.0))
        return {
            "central_similarity": central_similarity_loss(targets, outputs["code"]),
            "quantization": self.quantization_weight * quantization,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"quantization_weight": self.quantization_weight}
