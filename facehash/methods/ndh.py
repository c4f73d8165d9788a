"""NDH, neighborhood distillation: codes keep the neighbors of features that tell people apart."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops, regularizers
from numpy.typing import NDArray

from facehash.hashing.ndh import STUDENT, TEACHER
from facehash.hashing.witq import (
    SHRINK,
    check_people,
    rotated_components,
    unit,
    within_whitening,
)
from facehash.learning.losses import cross_entropy, quantization_loss
from facehash.methods.backbone import BackboneModel

_SELF = -1e9  # the similarity of an item with itself, which no softmax counts
_KEPT = 0.99  # share of the class means that a step keeps


def neighborhood_loss(features, code, teacher: float = TEACHER, student: float = STUDENT):
    """Compute how far the neighborhoods of codes in a batch are from those of features.

    ``P[i] = softmax over j != i of cos(f_i, f_j) / teacher``, the neighborhood of item i.
    ``S1[i, j] = h_i . h_j / bits`` and ``S2[i, j] = (p_i / a) . h_j / bits``, where p is the code,
    ``h = tanh(p)`` and a is the mean |p| of each bit: the similarity of two codes, and of a query's
    projections with a code. ``Q1`` and ``Q2`` are their softmax over j != i with the temperature
    `student`::

        loss = 1/2 * mean over i of sum over j of P (2 log P - log Q1 - log Q2)

    Args:
        features: Float tensor (batch, d), of unit length. They get no gradient, nor does a.
        code: p, float tensor (batch, bits), before the tanh.
        teacher: Temperature of the features, larger than 0. Defaults to 0.03.
        student: Temperature of the codes, larger than 0. Defaults to 0.06.

    Returns:
        A scalar tensor in nats, 0 or larger: the mean of two Kullback-Leibler divergences.

    Example:
        >>> features, code = ops.array([[1.0, 0.0], [0.6, 0.8]]), ops.array([[2.0], [-1.0]])
        >>> float(neighborhood_loss(features, code))  # the other item is the whole neighborhood
        0.0

    Reference:
        Ours; `facehash.hashing.ndh` has the same loss, up to a constant, and its gradient without
        Keras. Distilling relations between items goes back to Park, Kim, Lu, Cho. Relational
        Knowledge Distillation. CVPR 2019.
    """
    features = ops.stop_gradient(features)
    wanted = _log_softmax(ops.matmul(features, ops.transpose(features)) / teacher)
    codes = ops.tanh(code)
    sizes = ops.stop_gradient(ops.maximum(ops.mean(ops.abs(code), axis=0), 1e-12))  # (bits,)
    total = 0.0
    for left in (codes, code / sizes):
        similarities = ops.matmul(left, ops.transpose(codes)) / (code.shape[-1] * student)
        divergence = ops.exp(wanted) * (wanted - _log_softmax(similarities))
        total += 0.5 * ops.sum(divergence, axis=1)
    return ops.mean(total)


def contrast_loss(labels, similarities):
    """Compute the supervised contrast: how far people are from being the nearest to themselves.

    With Y(i) the other items of the batch with the label of item i::

        loss = mean over i with Y(i) not empty of
               -1 / |Y(i)| sum over j in Y(i) of log softmax over k != i of similarities[i, k]

    Args:
        labels: Integer tensor (batch,).
        similarities: Float tensor (batch, batch), divided by a temperature.

    Returns:
        A scalar tensor in nats; 0 if all labels differ.

    Example:
        >>> labels, equal = ops.array([0, 0, 1]), ops.zeros((3, 3))
        >>> round(float(contrast_loss(labels, equal)), 4)  # log 2
        0.6931

    Reference:
        Khosla et al. Supervised Contrastive Learning. NeurIPS 2020, L_out.
    """
    logs = _log_softmax(similarities)
    same = ops.cast(ops.equal(labels[:, None], labels[None, :]), logs.dtype)
    same = same * (1.0 - _diagonal(same))
    count = ops.sum(same, axis=1)
    each = -ops.sum(same * logs, axis=1) / ops.maximum(count, 1.0)
    return ops.sum(each) / ops.maximum(ops.sum(ops.cast(count > 0, logs.dtype)), 1.0)


def _diagonal(square):
    rows = ops.arange(ops.shape(square)[0])
    return ops.cast(ops.equal(rows[:, None], rows[None, :]), square.dtype)


def _log_softmax(similarities):
    """Return the logarithms of the softmax of each row without the diagonal, which becomes 0."""
    own = _diagonal(similarities)
    return ops.log_softmax(ops.where(own > 0, _SELF, similarities), axis=-1) * (1.0 - own)


@keras.saving.register_keras_serializable("facehash")
class ClassMeans(layers.Layer):
    """Compares codes with the mean code of each class in recent batches; no gradient passes.

    ``out_c = cos(h, m_c)``. `move` lets the means follow a batch, up to a factor, which no cosine
    sees: ``m_c = 0.99 m_c + sum of h over the items of class c``.

    Args:
        classes: Number of classes, 1 or more.

    Input shape: (batch, bits). Output shape: (batch, classes), -1 to 1; 0 for a class without
    items so far.

    Example:
        >>> layer = ClassMeans(classes=3)
        >>> layer(ops.array([[0.5, -0.5]])).shape
        TensorShape([1, 3])
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, codes_shape: tuple[int | None, ...]) -> None:
        """Create the means (classes, bits)."""
        shape = (self.classes, codes_shape[-1])
        self.means = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="means"
        )

    def call(self, codes):
        """Compute the cosines of (batch, bits) with all means."""
        codes = ops.stop_gradient(codes)
        return ops.matmul(_unit(codes), ops.transpose(_unit(ops.stop_gradient(self.means))))

    def move(self, codes, labels) -> None:
        """Move the means towards codes (batch, bits) of labels (batch,)."""
        codes = ops.stop_gradient(codes)
        rows = ops.one_hot(labels, self.classes, dtype=codes.dtype)  # (batch, classes)
        self.means.assign(_KEPT * self.means + ops.matmul(ops.transpose(rows), codes))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return (batch, classes)."""
        return (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes}


def _unit(rows):
    """Scale rows to length 1; rows of zeros stay."""
    squares = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    # Not the root of 0, whose gradient is infinite.
    return rows / ops.sqrt(ops.maximum(squares, 1e-24))


@keras.saving.register_keras_serializable("facehash")
class NDH(BackboneModel):
    """Codes that rank neighbors as float features do, for people that nobody trained on.

    With f the features and ``h = tanh(code)``::

        loss = neighborhood_loss(f, code) + quantization_weight * mean(1 - |h|)
               + supervised_weight * contrast_loss(h . h / bits / student)
               + feature_weight * cross-entropy of a classifier of f
               + weight_decay * sum of w^2

    From images, f is the feature of the backbone, in the neighborhood loss centered on the mean of
    the batch and scaled to unit length. It learns to tell people apart by its own classifier, and
    the codes follow it: as a teacher, f gets no gradient, which could make all features equal.

    On vectors, f is the input x, standardized, whitened by the covariance within people and scaled
    to unit length, ``f = unit(x S^(-1/2))`` as in `facehash.hashing.WhitenedITQ`, whose hyperplanes
    of the training vectors are the start of a linear head, see `start_from`. As f does not learn,
    it has no classifier.

    The logits are the cosines of h with the mean code of each person, see `ClassMeans`, and have no
    part in the loss.

    Args:
        teacher: Temperature of the features' neighborhoods, larger than 0. Defaults to 0.03.
        student: Temperature of the codes' neighborhoods, larger than 0. Defaults to 0.06.
        quantization_weight: 0 or larger. Defaults to 0.1.
        supervised_weight: Weight of the contrast of codes, 0 or larger. Defaults to 0.1.
        feature_weight: Weight of the classifier of features of images, 0 or larger. Defaults to 1.
        shrink: How far the covariance within people is pulled to a multiple of the identity, above
            0 and at most 1; for vectors. Defaults to 0.1.
        **kwargs: Arguments of `facehash.methods.backbone.BackboneModel`.

    Example:
        >>> model = NDH(bits=16, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
        >>> tuple(model(np.zeros((10, 32, 32, 3), np.uint8))["relaxed"].shape)
        (10, 16)

    Reference:
        Ours, after Park, Kim, Lu, Cho. Relational Knowledge Distillation. CVPR 2019, and Khosla et
        al. Supervised Contrastive Learning. NeurIPS 2020.
    """

    def __init__(
        self,
        *,
        teacher: float = TEACHER,
        student: float = STUDENT,
        quantization_weight: float = 0.1,
        supervised_weight: float = 0.1,
        feature_weight: float = 1.0,
        shrink: float = SHRINK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.teacher = teacher
        self.student = student
        self.quantization_weight = quantization_weight
        self.supervised_weight = supervised_weight
        self.feature_weight = feature_weight
        self.shrink = shrink
        self.build()

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss that are switched on, without weight decay."""
        switched = {
            "contrast": self.supervised_weight,
            "feature_cross_entropy": self.feature_weight and self.input_kind == "image",
        }
        on = [name for name, value in switched.items() if value]
        return ("neighborhood", "quantization", *on)

    def build_network(self) -> keras.Model:
        """Return the network of all methods, whose output ``teacher`` has the neighborhoods."""
        network = super().build_network()
        name = "whitened" if self.input_kind == "vectors" else "feature"
        teacher = network.get_layer(name).output
        outputs = {**network.output, "teacher": teacher}
        if "feature_cross_entropy" in self.term_names:
            decay = regularizers.L2(self.weight_decay) if self.weight_decay else None
            classifier = layers.Dense(
                len(self.identities), kernel_regularizer=decay, name="feature_logits"
            )
            outputs["feature_logits"] = classifier(teacher)
        return keras.Model(network.input, outputs, name="network")

    def feature(self, source, regularizer):
        """Return the feature; vectors are whitened first."""
        if self.input_kind == "vectors":
            (length,) = self.item_shape
            whitening = layers.Dense(
                length,
                use_bias=False,
                kernel_initializer="identity",
                dtype="float32",
                name="whitening",
            )
            whitening.trainable = False
            source = layers.UnitNormalization(dtype="float32", name="whitened")(whitening(source))
        return super().feature(source, regularizer)

    def classify(self, code, regularizer):
        """Return the cosines (batch, classes) of the relaxed codes with the class means."""
        means = ClassMeans(len(self.identities), dtype="float32", name="means")
        return means(ops.tanh(code))

    def start_from(self, items: NDArray[Any], labels: NDArray[np.integer], seed: int) -> None:
        """Whiten vectors by their labels, and start a linear head at the hyperplanes of ITQ.

        Raises:
            CodesError: No person has two different vectors, or a linear head has more bits than a
                vector has numbers.
        """
        if self.input_kind != "vectors":
            return
        rows = unit(items.astype(np.float64) - np.asarray(self.vector_mean))
        bits = self.bits if self.linear else 1
        people = check_people(rows, bits, labels, self.shrink, "ndh")
        whitening = within_whitening(rows, people, self.shrink, "ndh")
        self.network.get_layer("whitening").kernel.assign(whitening)
        if self.linear:
            whitened = unit(rows @ whitening)
            weights = rotated_components(whitened, self.bits, seed)
            size = max(float(np.abs(whitened @ weights).mean()), 1e-12)
            self.network.get_layer("hash").kernel.assign(weights / size)

    def hyperplanes(self) -> NDArray[np.float32]:
        """Return the hyperplanes of a linear head, with the whitening."""
        whitening = ops.convert_to_numpy(self.network.get_layer("whitening").kernel)
        return whitening @ super().hyperplanes()

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the weighted terms; a training step moves the class means once."""
        code, relaxed, features = outputs["code"], outputs["relaxed"], outputs["teacher"]
        if training:
            self.network.get_layer("means").move(relaxed, labels)
        if self.input_kind == "image":
            features = _unit(features - ops.mean(features, axis=0))
        terms = {
            "neighborhood": neighborhood_loss(features, code, self.teacher, self.student),
            "quantization": self.quantization_weight * quantization_loss(relaxed),
        }
        if "contrast" in self.term_names:
            similarities = ops.matmul(relaxed, ops.transpose(relaxed)) / (self.bits * self.student)
            terms["contrast"] = self.supervised_weight * contrast_loss(labels, similarities)
        if "feature_cross_entropy" in self.term_names:
            entropy = cross_entropy(labels, outputs["feature_logits"])
            terms["feature_cross_entropy"] = self.feature_weight * entropy
        return terms

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("teacher", "student", "quantization_weight", "supervised_weight")
        names += ("feature_weight", "shrink")
        return super().get_config() | {name: getattr(self, name) for name in names}
