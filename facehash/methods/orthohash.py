"""OrthoHash: a classifier whose fixed weights are binary codes."""

from typing import Any

import keras
from keras import ops

from facehash.learning.losses import cross_entropy
from facehash.methods.targets import TargetModel


def orthohash_loss(labels, cosines, scale: float = 8.0, margin: float = 0.2):
    """Compute the cross-entropy of scaled cosines, with a margin for the right class.

    ``loss = mean over b of -log( e^(s (cos_y - m)) / (e^(s (cos_y - m)) + sum over c != y of
    e^(s cos_c)) )``, where y is the label of b, and cos_c the cosine of its code with target c.

    Args:
        labels: Integer tensor (batch,), 0 to classes - 1.
        cosines: Float tensor (batch, classes), -1 to 1.
        scale: s, larger than 0. Defaults to 8, as in the released code.
        margin: m, subtracted from the cosine of the label. Defaults to 0.2, as in that code.

    Returns:
        A scalar tensor in nats.

    Example:
        >>> cosines = ops.array([[1.0, 0.0], [0.0, 1.0]])
        >>> round(float(orthohash_loss(ops.array([0, 1]), cosines)), 4)  # log(1 + e^-6.4)
        0.0017

    Reference:
        Hoe et al. One Loss for All: Deep Hashing with a Single Cosine Similarity based Learning
        Objective. NeurIPS 2021.
    """
    right = ops.one_hot(labels, cosines.shape[-1], dtype=cosines.dtype)
    return cross_entropy(labels, scale * (cosines - margin * right))


@keras.saving.register_keras_serializable("facehash")
class OrthoHash(TargetModel):
    """One loss on the cosines between codes and binary targets; see `orthohash_loss`.

    A code that points to its target is as binary as the target, so there is no quantization term.
    Batch normalization of the code makes each bit 1 for about half of the images.

    Args:
        scale: Factor of the cosines, larger than 0. Defaults to 8.
        margin: Subtracted from the cosine with the right target, 0 or larger. Defaults to 0.2.
        targets: How targets are chosen, see `facehash.methods.targets.binary_targets`. Defaults to
            ``"bernoulli"``.
        code_batch_norm: Defaults to True, as published.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = OrthoHash(bits=16, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Hoe, Ng, Zhang, Chan, Song, Xiang. One Loss for All: Deep Hashing with a Single Cosine
        Similarity based Learning Objective. NeurIPS 2021. facehash/methods/README.md lists the
        differences.
    """

    def __init__(
        self,
        *,
        scale: float = 8.0,
        margin: float = 0.2,
        targets: str = "bernoulli",
        code_batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(targets=targets, code_batch_norm=code_batch_norm, **kwargs)
        self.scale = scale
        self.margin = margin
        self.build()

    def classify(self, code, regularizer):
        """Return the scaled cosines with the targets, without margin."""
        return self.scale * super().classify(code, regularizer)

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the one term."""
        cosines = outputs["logits"] / self.scale
        return {"cross_entropy": orthohash_loss(labels, cosines, self.scale, self.margin)}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"scale": self.scale, "margin": self.margin}
