"""The DCBH network and its loss."""

import functools
from typing import Any

import keras
from keras import layers, regularizers

from dcbh.layers import BlockHash
from dcbh.losses import CenterLoss
from facehash.learning.accelerator.layers import BatchNormalization, Conv2D, MaxPooling2D
from facehash.learning.divide_and_encode import DivideAndEncode
from facehash.learning.hash_model import HashModel
from facehash.learning.losses import cross_entropy, quantization_loss

GROUPS = ((64, 2), (128, 2), (256, 3), (512, 3))
"""Number of filters and of convolutions in each group; pooling after a group halves the sides."""


def feature_network(
    image,
    units: int,
    regularizer: regularizers.Regularizer | None = None,
    two_scales: bool = True,
):
    """Apply the layers of DCBH up to its feature; shapes are for 32 x 32 images.

    Args:
        image: Symbolic tensor (batch, side, side, 3), standardized.
        units: Length of the feature.
        regularizer: Of all kernels.
        two_scales: Whether to use group 3 in addition to group 4.

    Returns:
        Symbolic tensor (batch, units), 0 or larger, the output of the layer ``feature``.
    """
    convolution = functools.partial(
        Conv2D,
        kernel_size=3,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        kernel_regularizer=regularizer,
    )
    batch_norm = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-3)

    x = image
    scales = []
    for group, (filters, convolutions) in enumerate(GROUPS, start=1):
        for number in range(1, convolutions + 1):
            name = f"group{group}_conv{number}"
            x = convolution(filters, name=name)(x)
            x = batch_norm(relu=True, name=f"{name}_norm")(x)
        x = MaxPooling2D(data_format="channels_last")(x)  # sides 16, 8, 4, 2
        scales.append(layers.GlobalAveragePooling2D(data_format="channels_last")(x))
    merged = layers.Concatenate()(scales[2:]) if two_scales else scales[3]  # 256 + 512
    feature = layers.Dense(units, kernel_regularizer=regularizer, name="feature_dense")(merged)
    feature = batch_norm(name="feature_norm")(feature)
    return layers.ReLU(name="feature")(feature)


@keras.saving.register_keras_serializable("facehash")
class DCBH(HashModel):
    """Deep Clustering and Block Hashing: a VGG network at two scales, hashed block by block.

    ``loss = CE(logits) + CE(feature logits) + quantization_weight * mean(| |h| - target |) +
    center_weight * center loss + weight_decay * 1/2 * sum of w^2`` over all kernels w, where CE is
    the cross-entropy and the target is 0.5 with block hashing, 1 with divide-and-encode.

    Args:
        block: Number of features that become one bit, 3 or more for block hashing. Defaults to 6.
        hashing: ``"block"`` (default), or ``"divide_and_encode"`` as in DDH.
        two_scales: Whether to use the features of group 3 in addition to group 4. Defaults to
            True.
        feature_classifier: Whether to classify the feature as well. Defaults to True.
        quantization_weight: Weight of the quantization term, 0 or larger. Defaults to 0.1.
        center_weight: Weight of the center loss; 0 turns it off. Defaults to 1e-4.
        centers: How centers move: ``"moving"`` (default), ``"gradient"`` or ``"both"``, see
            `dcbh.losses.CenterLoss`.
        weight_decay: Weight of half the squared kernels, 0 or larger. Defaults to 0: the released
            code intended 2e-4, but squares the penalty once more, so in effect it has about 0.
        **kwargs: Arguments of `HashModel`.

    Example:
        >>> model = DCBH(bits=48, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> images = np.zeros((10, 32, 32, 3), np.uint8)
        >>> tuple(model(images)["relaxed"].shape)
        (10, 48)

    Reference:
        Jang, Jeong, Lee, Cho. Deep Clustering and Block Hashing Network for Face Image Retrieval.
        ACCV 2018. Sizes, initializers and weights are those of the released code; dcbh/README.md
        lists the differences between the paper, that code and this class.
    """

    def __init__(
        self,
        *,
        block: int = 6,
        hashing: str = "block",
        two_scales: bool = True,
        feature_classifier: bool = True,
        quantization_weight: float = 0.1,
        center_weight: float = 1e-4,
        centers: str = "moving",
        weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.block = block
        self.hashing = hashing
        self.two_scales = two_scales
        self.feature_classifier = feature_classifier
        self.quantization_weight = quantization_weight
        self.center_weight = center_weight
        self.centers = centers
        self.weight_decay = weight_decay
        self.center_loss = None
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss that are switched on, without weight decay."""
        switched = {"feature_cross_entropy": self.feature_classifier, "center": self.center_weight}
        on = [name for name, value in switched.items() if value]
        return ("cross_entropy", "quantization", *on)

    def build_network(self) -> keras.Model:
        """Return the network of the released code."""
        decay = regularizers.L2(self.weight_decay / 2) if self.weight_decay else None
        dense = functools.partial(layers.Dense, kernel_regularizer=decay)
        image = keras.Input((self.side, self.side, 3), name="image")
        feature = feature_network(image, self.bits * self.block, decay, self.two_scales)
        if self.hashing == "block":
            relaxed = BlockHash(self.bits, name="relaxed")(feature)
        else:
            code = DivideAndEncode(self.bits, kernel_regularizer=decay, name="hash")(feature)
            relaxed = layers.Activation("tanh", name="relaxed")(code)
        logits = dense(len(self.identities), name="logits")(relaxed)
        outputs = {"relaxed": relaxed, "logits": logits}
        outputs["feature"] = feature
        if self.feature_classifier:
            outputs["feature_logits"] = dense(len(self.identities), name="feature_logits")(feature)
        return keras.Model(image, outputs, name="network")

    def build(self, input_shape: Any = None) -> None:
        """Create the weights, including the centers."""
        if not self.built and self.center_weight:
            self.center_loss = CenterLoss(
                *(len(self.identities), self.centers),
                dtype="float32",
                name="centers",
            )
            self.center_loss.build((None, self.bits * self.block))
        super().build(input_shape)

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the weighted terms; a training step moves the centers once."""
        target = 0.5 if self.hashing == "block" else 1.0
        quantization = quantization_loss(outputs["relaxed"], target)
        terms = {
            "cross_entropy": cross_entropy(labels, outputs["logits"]),
            "quantization": self.quantization_weight * quantization,
        }
        if self.feature_classifier:
            terms["feature_cross_entropy"] = cross_entropy(labels, outputs["feature_logits"])
        if self.center_loss is not None:
            distance = self.center_loss(outputs["feature"], labels, training=training)
            terms["center"] = self.center_weight * distance
        return terms

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("block", "hashing", "two_scales", "feature_classifier", "quantization_weight")
        names += ("center_weight", "centers", "weight_decay")
        return super().get_config() | {name: getattr(self, name) for name in names}
