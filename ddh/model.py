"""The DDH network and its loss."""

import functools
from typing import Any

import keras
from keras import layers, regularizers

from ddh.layers import LocallyConnected2D
from facehash.errors import InputError
from facehash.learning.accelerator.layers import BatchNormalization, Conv2D, MaxPooling2D
from facehash.learning.divide_and_encode import DivideAndEncode
from facehash.learning.hash_model import HashModel
from facehash.learning.losses import cross_entropy, quantization_loss

SMALLEST_SIDE = 24
"""Three rounds of convolution and pooling leave 2 x 2, the window of the local layer."""


def check_side(side: int, method: str = "DDH") -> None:
    """Refuse images that are too small for `feature_network`.

    Raises:
        InputError: `side` is below `SMALLEST_SIDE`.
    """
    if side < SMALLEST_SIDE:
        raise InputError(
            f"{method} needs images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels, "
            f"got side {side}"
        )


def feature_network(image, units: int, regularizer: regularizers.Regularizer | None = None):
    """Apply the layers of DDH up to its feature; shapes are for 32 x 32 images.

    Args:
        image: Symbolic tensor (batch, side, side, 3), standardized.
        units: Length of the feature.
        regularizer: Of all kernels.

    Returns:
        Symbolic tensor (batch, units), 0 or larger, the output of the layer ``feature``.
    """

    def convolution(name, filters, kernel_size, kind=Conv2D):
        return kind(
            *(filters, kernel_size),
            kernel_initializer="he_uniform",
            kernel_regularizer=regularizer,
            name=name,
        )

    def norm(name, relu=True):
        return BatchNormalization(relu=relu, name=f"{name}_norm")

    x = image
    for number, (filters, kernel_size) in enumerate(((20, 3), (40, 2), (60, 2)), start=1):
        name = f"conv{number}"
        x = norm(name)(convolution(name, filters, kernel_size)(x))
        x = MaxPooling2D()(x)  # sides 15, 7, 3
    local = convolution("local", 80, 2, kind=LocallyConnected2D)(x)  # 2 x 2 x 80
    local = norm("local")(local)
    scales = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(local)])  # 540 + 320
    feature = layers.Dense(units, kernel_regularizer=regularizer, name="feature_dense")(scales)
    return layers.ReLU(name="feature")(norm("feature", relu=False)(feature))


@keras.saving.register_keras_serializable("facehash")
class DDH(HashModel):
    """Discriminative Deep Hashing: a small CNN at two scales, then divide-and-encode.

    ``loss = cross-entropy + quantization_weight * mean(| |h| - 1 |) + weight_decay * sum of w^2``
    over all kernels w.

    Args:
        block: Number of features that become one bit, 1 or more. Defaults to 4.
        hashing: ``"divide_and_encode"`` (default), or ``"dense"``: each bit depends on all
            features.
        code_batch_norm: Whether to normalize before the tanh, as the released code does. (It is
            the "batch normalization quantization" of the follow-up DDQH.) False follows the
            figure in the paper. Defaults to True.
        quantization_weight: Weight of the quantization term, 0 or larger. Defaults to 0.01.
        weight_decay: Weight of the squared kernels, 0 or larger. Defaults to 1e-4.
        **kwargs: Arguments of `HashModel`.

    Raises:
        InputError: `side` is below `SMALLEST_SIDE`.

    Example:
        >>> model = DDH(bits=48, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> images = np.zeros((10, 32, 32, 3), np.uint8)
        >>> tuple(model(images)["relaxed"].shape)
        (10, 48)

    Reference:
        Lin, Li, Tang. Discriminative Deep Hashing for Scalable Face Image Retrieval. IJCAI 2017,
        sections 3.1 to 3.3. Sizes, initializers and weights are those of the released code.
    """

    def __init__(
        self,
        *,
        block: int = 4,
        hashing: str = "divide_and_encode",
        code_batch_norm: bool = True,
        quantization_weight: float = 0.01,
        weight_decay: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_side(self.side)
        self.block = block
        self.hashing = hashing
        self.code_batch_norm = code_batch_norm
        self.quantization_weight = quantization_weight
        self.weight_decay = weight_decay
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss without weight decay."""
        return ("cross_entropy", "quantization")

    def build_network(self) -> keras.Model:
        """Return the network of the released code."""
        decay = regularizers.L2(self.weight_decay) if self.weight_decay else None
        dense = functools.partial(layers.Dense, kernel_regularizer=decay)
        image = keras.Input((self.side, self.side, 3), name="image")
        feature = feature_network(image, self.bits * self.block, decay)
        if self.hashing == "divide_and_encode":
            code = DivideAndEncode(self.bits, kernel_regularizer=decay, name="hash")(feature)
        else:
            code = dense(self.bits, name="hash")(feature)
        if self.code_batch_norm:
            code = BatchNormalization(name="hash_norm")(code)
        relaxed = layers.Activation("tanh", name="relaxed")(code)
        logits = dense(len(self.identities), name="logits")(relaxed)
        return keras.Model(image, {"relaxed": relaxed, "logits": logits}, name="network")

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return cross-entropy and the weighted quantization term."""
        quantization = quantization_loss(outputs["relaxed"])
        return {
            "cross_entropy": cross_entropy(labels, outputs["logits"]),
            "quantization": self.quantization_weight * quantization,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("block", "hashing", "code_batch_norm", "quantization_weight", "weight_decay")
        return super().get_config() | {name: getattr(self, name) for name in names}
