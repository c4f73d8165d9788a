"""DCDH: learned class centers that attract their codes and repel each other."""

from typing import Any

import keras
from keras import layers, ops

from facehash.learning.losses import cross_entropy
from facehash.methods.backbone import BackboneModel, signs


def separation_loss(centers):
    """Compute how similar the centers of different classes are.

    ``loss = mean over i != j of log(1 + e^(bits/2 cos(m_i, m_j)))``, which falls as the expected
    Hamming distance of the centers' signs grows. 0 for a single class.

    Args:
        centers: Float tensor (classes, bits), the centers m.

    Returns:
        A scalar tensor, 0 or larger.

    Example:
        >>> round(float(separation_loss(ops.array([[1.0, 0.0], [0.0, 3.0]]))), 4)  # log 2
        0.6931

    Reference:
        Zhang, Zhe, Chen, Yan. Deep center-based dual-constrained hashing for discriminative face
        image retrieval. Pattern Recognition 117, 2021: the constraint between classes. As in the
        released code, except that this also adds the constant log 2 for each class.
    """
    classes, bits = centers.shape
    if classes < 2:
        return ops.zeros(())
    units = ops.normalize(centers, axis=-1)
    pairs = ops.softplus(0.5 * bits * ops.matmul(units, ops.transpose(units)))
    return ops.sum(pairs * (1.0 - ops.eye(classes))) / (classes * (classes - 1))


def regression_loss(labels, code, classes: int, weight: float = 0.01):
    """Compute the distance of codes from the bits that the images of their identity agree on.

    ``loss = mean over b of || h_b - s_b ||^2`` with ``s_b = sign(w_y + weight h_b)``, where w_y is
    the mean of ``sign(h)`` over the rows of the batch with the label y of b. No gradient reaches s.
    (The paper calls w the regression matrix: the least-squares solution that maps labels to bits.)

    Args:
        labels: Integer tensor (batch,), 0 to classes - 1.
        code: Float tensor (batch, bits), h.
        classes: Number of classes.
        weight: The weight of this term in the loss, which also decides where images disagree
            evenly.

    Returns:
        A scalar tensor, 0 or larger.

    Example:
        >>> code = ops.array([[0.5, 2.0], [0.5, -1.0], [0.5, -1.0]])
        >>> labels = ops.array([0, 0, 0])  # they agree on the bits 1 and 0
        >>> round(float(regression_loss(labels, code, classes=1)), 4)  # (9.25 + 0.25 + 0.25) / 3
        3.25

    Reference:
        Zhang, Zhe, Chen, Yan. Deep center-based dual-constrained hashing for discriminative face
        image retrieval. Pattern Recognition 117, 2021: the regression matrix, as in the released
        code.
    """
    fixed = ops.stop_gradient(code)
    rows = ops.one_hot(labels, classes, dtype=code.dtype)  # (batch, classes)
    counts = ops.maximum(ops.sum(rows, axis=0), 1.0)[:, None]
    agreed = ops.matmul(ops.transpose(rows), signs(fixed)) / counts  # (classes, bits)
    targets = signs(ops.take(agreed, labels, axis=0) + weight * fixed)
    return ops.mean(ops.sum(ops.square(code - targets), axis=-1))


@keras.saving.register_keras_serializable("facehash")
class GaussianCenters(layers.Layer):
    """Holds a learned center for each class, and returns how close codes are to them.

    ``out[b, c] = -sigma / 2 * || codes[b] - m[c] ||^2``, whose softmax over c is the probability
    of the classes under Gaussians of equal width.

    Args:
        classes: Number of classes, 1 or more.
        sigma: Larger than 0; a larger one demands smaller distances. Defaults to 0.25.

    Input shape: (batch, bits). Output shape: (batch, classes), 0 or less.

    Example:
        >>> GaussianCenters(classes=30)(np.ones((5, 16), np.float32)).shape
        TensorShape([5, 30])
    """

    def __init__(self, classes: int, sigma: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self.sigma = sigma

    def build(self, codes_shape: tuple[int | None, ...]) -> None:
        """Create the centers (classes, bits), normally distributed with deviation 1."""
        self.centers = self.add_weight(
            shape=(self.classes, codes_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="centers",
        )

    def call(self, codes):
        """Compute the logits of (batch, bits)."""
        squares = ops.sum(ops.square(codes), axis=-1, keepdims=True)
        squares += ops.sum(ops.square(self.centers), axis=-1)[None, :]
        distances = squares - 2.0 * ops.matmul(codes, ops.transpose(self.centers))
        return -0.5 * self.sigma * distances

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, classes)."""
        return (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes, "sigma": self.sigma}


@keras.saving.register_keras_serializable("facehash")
class DCDH(BackboneModel):
    """Deep center-based dual-constrained hashing: the successor of DDH and DCBH on faces.

    ``loss = -mean over b of log( e^(-sigma/2 ||h - m_y||^2) / sum over c of
    e^(-sigma/2 ||h - m_c||^2) ) + separation_weight * separation_loss(m) + regression_weight *
    regression_loss(h)``

    Args:
        sigma: Width of the Gaussians, larger than 0. Defaults to 0.25.
        separation_weight: Weight of `separation_loss`, which is not computed if it is 0. Defaults
            to 0.1.
        regression_weight: Weight of `regression_loss`, 0 or larger. Defaults to 0.01.
        code_batch_norm: Defaults to True, as in the released code.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = DCDH(bits=16, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Zhang, Zhe, Chen, Yan. Deep center-based dual-constrained hashing for discriminative face
        image retrieval. Pattern Recognition 117, 2021. facehash/methods/README.md lists the
        differences. All values are those of the released code.
    """

    def __init__(
        self,
        *,
        sigma: float = 0.25,
        separation_weight: float = 0.1,
        regression_weight: float = 0.01,
        code_batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(code_batch_norm=code_batch_norm, **kwargs)
        self.sigma = sigma
        self.separation_weight = separation_weight
        self.regression_weight = regression_weight
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss without weight decay."""
        return ("cross_entropy", "separation", "regression")

    def classify(self, code, regularizer):
        """Return how close codes are to the centers."""
        centers = GaussianCenters(
            *(len(self.identities), self.sigma), dtype="float32", name="centers"
        )
        return centers(code)

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the three terms."""
        separation = 0.0  # with thousands of people, its pairs take longer than all the rest
        if self.separation_weight:
            separation = separation_loss(self.network.get_layer("centers").centers)
        weight = self.regression_weight
        regression = regression_loss(labels, outputs["code"], len(self.identities), weight)
        return {
            "cross_entropy": cross_entropy(labels, outputs["logits"]),
            "separation": ops.convert_to_tensor(self.separation_weight * separation),
            "regression": weight * regression,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("sigma", "separation_weight", "regression_weight")
        return super().get_config() | {name: getattr(self, name) for name in names}
