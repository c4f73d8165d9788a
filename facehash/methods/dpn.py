"""DPN, the Deep Polarized Network: a hinge loss pushes every bit to the side of its target."""

from typing import Any

import keras
from keras import ops

from facehash.methods.targets import TargetModel


def polarization_loss(targets, code, margin: float = 1.0):
    """Compute the polarization loss.

    ``loss = mean over b of sum over j of max(margin - code target, 0)``

    Args:
        targets: Float tensor (batch, bits) of -1 and +1: the target of each image.
        code: Float tensor (batch, bits), before the tanh.
        margin: How far from 0 a bit should be, larger than 0. Defaults to 1.

    Returns:
        A scalar tensor, 0 or larger.

    Example:
        >>> code = ops.array([[2.0, 0.5, -0.25]])
        >>> float(polarization_loss(ops.array([[1.0, 1.0, 1.0]]), code))  # 0 + 0.5 + 1.25
        1.75

    Reference:
        Fan, Ng, Ju, Zhang, Chan. Deep Polarized Network for Supervised Learning of Accurate Binary
        Hashing Codes. IJCAI 2020.
    """
    return ops.mean(ops.sum(ops.relu(margin - code * targets), axis=-1))


@keras.saving.register_keras_serializable("facehash")
class DPN(TargetModel):
    """Codes on the right side of 0 by a margin, bit by bit; see `polarization_loss`.

    Args:
        margin: How far from 0 a bit should be, larger than 0. Defaults to 1.
        targets: How targets are chosen, see `facehash.methods.targets.binary_targets`. Defaults to
            ``"bernoulli"``, the random assignment of the paper.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = DPN(bits=16, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Fan, Ng, Ju, Zhang, Chan. Deep Polarized Network for Supervised Learning of Accurate Binary
        Hashing Codes. IJCAI 2020. facehash/methods/README.md lists the differences.
    """

    def __init__(self, *, margin: float = 1.0, targets: str = "bernoulli", **kwargs: Any) -> None:
        super().__init__(targets=targets, **kwargs)
        self.margin = margin
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss without weight decay."""
        return ("polarization",)

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the one term."""
        targets = self.targets_of(labels)
        return {"polarization": polarization_loss(targets, outputs["code"], self.margin)}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"margin": self.margin}
