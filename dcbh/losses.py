"""The center loss, which draws the features of an identity to a common center."""

from typing import Any

import keras
from keras import layers, ops

CENTER_UPDATES = ("moving", "gradient", "both")


@keras.saving.register_keras_serializable("facehash")
class CenterLoss(layers.Layer):
    """Computes half the squared distances of features from the centers of their identities.

    ``loss = 1/2 * sum over b of || f_b - c_{y_b} ||^2`` with the centers before their update.

    The layer owns the centers. Each training step moves them towards the features of the batch:

    ``c_y -= sum over rows b with y_b = y of (c_y - f_b) / (1 + n_y)``

    where n_y is the number of those rows. Centers of identities that are not in the batch do not
    move, and no center moves in evaluation.

    Args:
        classes: Number of identities, 1 or more.
        centers: How centers move. ``"moving"`` (default): by this update, without gradient;
            ``"gradient"``: by the optimizer, as other weights; ``"both"``: by both, as in the
            released code. In the last case the centers are a sum of two weights, one moved by
            each.

    Example:
        >>> loss = CenterLoss(classes=530)
        >>> features, labels = np.zeros((8, 288), np.float32), np.arange(8)
        >>> tuple(loss(features, labels, training=True).shape)  # a scalar
        ()

    Reference:
        Wen, Zhang, Li, Qiao. A Discriminative Feature Learning Approach for Deep Face Recognition.
        ECCV 2016, equations 2 and 4 (with alpha = 1); used by Jang et al., ACCV 2018.
    """

    def __init__(self, classes: int, centers: str = "moving", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if centers not in CENTER_UPDATES:
            raise ValueError(f"centers must be one of {', '.join(CENTER_UPDATES)}, got {centers!r}")
        self.classes = classes
        self.centers = centers

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Create the centers (classes, features)."""
        self.parts = {}
        for part, update in {"moved": "moving", "learned": "gradient"}.items():
            if self.centers in (update, "both"):
                first = not self.parts
                self.parts[part] = self.add_weight(
                    shape=(self.classes, features_shape[-1]),
                    initializer="glorot_uniform" if first else "zeros",
                    trainable=part == "learned",
                    name=part,
                )

    def positions(self):
        """Return the centers, (classes, features)."""
        return sum(self.parts.values())

    def call(self, features, labels, training: bool = False):
        """Return the loss of (batch, features) with labels (batch,), and move the centers."""
        features = ops.cast(features, "float32")
        centers = self.positions()
        distances = features - ops.take(centers, labels, axis=0)
        if training and "moved" in self.parts:
            self._move(ops.stop_gradient(centers), ops.stop_gradient(features), labels)
        return 0.5 * ops.sum(ops.square(distances))

    def _move(self, centers, features, labels) -> None:
        rows = ops.one_hot(labels, self.classes, dtype="float32")  # (batch, classes)
        counts = ops.sum(rows, axis=0)[:, None]
        sums = ops.matmul(ops.transpose(rows), features)
        step = (counts * centers - sums) / (1.0 + counts)
        self.parts["moved"].assign(self.parts["moved"] - step)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes, "centers": self.centers}
