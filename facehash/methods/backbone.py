"""The networks that several methods share, from the input to the numbers whose signs are bits."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops, regularizers
from numpy.typing import NDArray

import dcbh.model
import ddh.model
from facehash.errors import InputError
from facehash.hashing import LinearHash
from facehash.learning.hash_model import HashModel

BLOCK = {"ddh": 4, "dcbh": 6}
"""Number of features for each bit, as published for the network."""


class BackboneModel(HashModel):
    """A network of DDH or DCBH, or float vectors, with a dense hash layer; the base of the methods.

    ``code = features . kernel + bias``, then batch normalization if `code_batch_norm`, and
    ``relaxed = tanh(code)``. The bits are the signs of the code. A subclass compares the code with
    the identities in `classify`, and defines the loss.

    On vectors without a hidden layer, ``code = (x - mean) / |x - mean| . kernel``, with neither
    bias nor batch normalization: scaling a vector changes no sign, so the head is a `LinearHash`
    of the mean of the training vectors and the kernel, see `linear_hash`.

    Args:
        backbone: ``"ddh"`` (default) or ``"dcbh"``: the layers of that method up to its feature;
            or ``"vectors"``.
        width: Length of the feature; None for that of the method whose backbone it is, which is 4
            (DDH) or 6 (DCBH) for each bit.
        hidden: Length of the feature on vectors: a dense layer with batch normalization and ReLU;
            0 (default) for a linear head.
        code_batch_norm: Whether to normalize the code over the batch.
        weight_decay: Weight of the squared kernels, 0 or larger. Defaults to 1e-4.
        **kwargs: Arguments of `HashModel`.

    Raises:
        InputError: `side` is too small for the backbone, or the backbone takes another input.
    """

    def __init__(
        self,
        *,
        backbone: str = "ddh",
        width: int | None = None,
        hidden: int = 0,
        code_batch_norm: bool = False,
        weight_decay: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        names = (*BLOCK, "vectors")
        if backbone not in names:
            raise InputError(f"backbone must be one of {', '.join(names)}, got {backbone!r}")
        if (backbone == "vectors") != (self.input_kind == "vectors"):
            taken = "vectors" if backbone == "vectors" else "images"
            raise InputError(
                f"the backbone {backbone} takes {taken}, got input {self.input_kind!r}"
            )
        if backbone == "ddh":
            ddh.model.check_side(self.side, "the backbone ddh")
        self.backbone = backbone
        self.width = width
        self.hidden = hidden
        self.code_batch_norm = code_batch_norm
        self.weight_decay = weight_decay

    @property
    def linear(self) -> bool:
        """Whether the model is a linear head of vectors."""
        return self.backbone == "vectors" and not self.hidden

    def classify(self, code, regularizer: regularizers.Regularizer | None):
        """Return the logits (batch, classes) of codes (batch, bits), both symbolic."""
        raise NotImplementedError(f"{type(self).__name__} must define classify")

    def build_network(self) -> keras.Model:
        """Return the network; its output ``code`` has no activation."""
        decay = regularizers.L2(self.weight_decay) if self.weight_decay else None
        source = keras.Input(self.item_shape, name=self.input_kind)
        feature = self.feature(source, decay)
        hash_layer = layers.Dense(
            self.bits, use_bias=not self.linear, kernel_regularizer=decay, name="hash"
        )
        code = hash_layer(feature)
        if self.code_batch_norm and not self.linear:
            code = layers.BatchNormalization(momentum=0.9, name="hash_norm")(code)
        outputs = {
            "relaxed": layers.Activation("tanh", name="relaxed")(code),
            "logits": self.classify(code, decay),
            "code": code,
        }
        return keras.Model(source, outputs, name="network")

    def feature(self, source, regularizer: regularizers.Regularizer | None):
        """Return the feature (batch, d) of standardized images or vectors, both symbolic."""
        if self.backbone == "vectors":
            if self.linear:
                return layers.Activation("linear", name="feature")(source)
            hidden = layers.Dense(self.hidden, kernel_regularizer=regularizer, name="feature_dense")
            feature = layers.BatchNormalization(momentum=0.9, name="feature_norm")(hidden(source))
            return layers.ReLU(name="feature")(feature)
        units = self.width or self.bits * BLOCK[self.backbone]
        networks = {"ddh": ddh.model.feature_network, "dcbh": dcbh.model.feature_network}
        return networks[self.backbone](source, units, regularizer)

    def linear_hash(self, vectors: NDArray[np.floating[Any]] | None = None) -> LinearHash:
        """Return a linear head as a `LinearHash`, which needs no Keras.

        Args:
            vectors: (n, d) that give the hash its scale for asymmetric distances. None for the
                scale that training stored in the model, by which both rank alike.

        Raises:
            InputError: The model takes images, or has a hidden layer.
        """
        if not self.linear:
            raise InputError(
                "only a linear head is a LinearHash: backbone 'vectors' and hidden 0, got "
                f"backbone {self.backbone!r} and hidden {self.hidden}"
            )
        hashed = LinearHash(self.vector_mean, self.hyperplanes(), self.projection_scale)
        return hashed if vectors is None else hashed.with_scale(vectors)

    def hyperplanes(self) -> NDArray[np.float32]:
        """Return the hyperplanes (d, bits) of a linear head, through the mean."""
        return ops.convert_to_numpy(self.network.get_layer("hash").kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("backbone", "width", "hidden", "code_batch_norm", "weight_decay")
        return super().get_config() | {name: getattr(self, name) for name in names}


def signs(code):
    """Return +1.0 where a tensor is 0 or larger, else -1.0; the gradient is 0."""
    return ops.where(code >= 0, 1.0, -1.0)
