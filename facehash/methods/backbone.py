"""The networks that several methods share, from the input to the numbers whose signs are bits."""

from typing import Any

import keras
from keras import layers, ops, regularizers

import dcbh.model
import ddh.model
from facehash.errors import InputError
from facehash.learning.hash_model import HashModel

BLOCK = {"ddh": 4, "dcbh": 6}
"""Number of features for each bit, as published for the network."""


class BackboneModel(HashModel):
    """A network of DDH or DCBH with a dense hash layer; the base of the methods in this folder.

    ``code = features . kernel + bias``, then batch normalization if `code_batch_norm`, and
    ``relaxed = tanh(code)``. The bits are the signs of the code. A subclass compares the code with
    the identities in `classify`, and defines the loss.

    Args:
        backbone: ``"ddh"`` (default) or ``"dcbh"``: the layers of that method up to its feature.
        width: Length of the feature; None for that of the method whose backbone it is, which is 4
            (DDH) or 6 (DCBH) for each bit.
        code_batch_norm: Whether to normalize the code over the batch.
        weight_decay: Weight of the squared kernels, 0 or larger. Defaults to 1e-4.
        **kwargs: Arguments of `HashModel`.

    Raises:
        InputError: `side` is too small for the backbone.
    """

    def __init__(
        self,
        *,
        backbone: str = "ddh",
        width: int | None = None,
        code_batch_norm: bool = False,
        weight_decay: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if backbone not in BLOCK:
            raise InputError(f"backbone must be one of {', '.join(BLOCK)}, got {backbone!r}")
        if backbone == "ddh":
            ddh.model.check_side(self.side, "the backbone ddh")
        self.backbone = backbone
        self.width = width
        self.code_batch_norm = code_batch_norm
        self.weight_decay = weight_decay

    def classify(self, code, regularizer: regularizers.Regularizer | None):
        """Return the logits (batch, classes) of codes (batch, bits), both symbolic."""
        raise NotImplementedError(f"{type(self).__name__} must define classify")

    def build_network(self) -> keras.Model:
        """Return the network; its output ``code`` has no activation."""
        decay = regularizers.L2(self.weight_decay) if self.weight_decay else None
        source = keras.Input((self.side, self.side, 3), name="image")
        feature = self._feature(source, decay)
        code = layers.Dense(self.bits, kernel_regularizer=decay, name="hash")(feature)
        if self.code_batch_norm:
            code = layers.BatchNormalization(momentum=0.9, name="hash_norm")(code)
        outputs = {
            "relaxed": layers.Activation("tanh", name="relaxed")(code),
            "logits": self.classify(code, decay),
            "code": code,
        }
        return keras.Model(source, outputs, name="network")

    def _feature(self, source, decay):
        units = self.width or self.bits * BLOCK[self.backbone]
        networks = {"ddh": ddh.model.feature_network, "dcbh": dcbh.model.feature_network}
        return networks[self.backbone](source, units, decay)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("backbone", "width", "code_batch_norm", "weight_decay")
        return super().get_config() | {name: getattr(self, name) for name in names}


def signs(code):
    """Return +1.0 where a tensor is 0 or larger, else -1.0; the gradient is 0."""
    return ops.where(code >= 0, 1.0, -1.0)
