"""HashModel: the contract between a hashing network and everything that uses it."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from facehash.errors import InputError, did_you_mean
from facehash.learning.accelerator.steps import DeviceSteps
from facehash.learning.augmentation import augmentation_layers
from facehash.learning.losses import cross_entropy
from facehash.runs.fingerprint import merge_records

EXPORT_BACKENDS = {
    "tf_saved_model": ("tensorflow", "jax"),
    "onnx": ("tensorflow", "torch", "jax"),
    "litert": ("tensorflow", "torch"),
    "openvino": ("tensorflow",),
    "torch": ("torch",),
}
"""Format of `HashModel.export` -> the backends on which Keras can write it."""


@keras.saving.register_keras_serializable("facehash")
class Standardize(keras.layers.Layer):
    """Standardizes pixels by the statistics of the training images, stored in the model.

    ``out = clip((x - mean) / (std + 1e-5) * 0.1, -1, 1)``

    The released code of DDH and DCBH standardizes test images by the statistics of the test set;
    it could not encode a single photo.

    Args:
        mean: Mean of all training pixels, 0 to 255.
        std: Standard deviation of all training pixels, larger than 0.

    Input shape: (batch, side, side, 3), pixels 0 to 255. Output shape: the same, -1 to 1.

    Example:
        >>> layer = Standardize(mean=100.0, std=50.0)
        >>> [round(float(pixel), 4) for pixel in layer(ops.array([100.0, 150.0]))]
        [0.0, 0.1]
    """

    def __init__(self, mean: float, std: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = float(mean)
        self.std = float(std)
        self.built = True

    def call(self, images):
        """Map pixels 0 to 255 to -1 to 1."""
        return ops.clip((images - self.mean) / (self.std + 1e-5) * 0.1, -1.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "mean": self.mean, "std": self.std}


@keras.saving.register_keras_serializable("facehash")
class StandardizeVectors(keras.layers.Layer):
    """Subtracts the mean of the training vectors, stored in the model, and scales to unit length.

    ``out = (x - mean) / |x - mean|``, and 0 for a vector that equals the mean.

    Face embeddings share a large common component, which would fill most bits with constants.

    Args:
        mean: Mean of the training vectors, d finite numbers.

    Input shape: (batch, d). Output shape: the same, rows of length 1.

    Example:
        >>> layer = StandardizeVectors(mean=[1.0, 1.0])
        >>> ops.convert_to_numpy(layer(ops.array([[4.0, 5.0], [1.0, 1.0]]))).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    def __init__(self, mean: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = [float(value) for value in mean]

    def call(self, vectors):
        """Map vectors to vectors of length 1."""
        centered = vectors - ops.convert_to_tensor(self.mean, dtype="float32")
        squares = ops.sum(ops.square(centered), axis=-1, keepdims=True)
        # Not the root of 0, whose gradient is infinite.
        return centered / ops.sqrt(ops.maximum(squares, 1e-24))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "mean": self.mean}


@contextlib.contextmanager
def _dtype_policy(policy: keras.DTypePolicy) -> Iterator[None]:
    """Use a dtype policy for layers built inside the block only."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class HashModel(DeviceSteps):
    """A Keras model whose outputs have the signs of a binary code; the base of every method.

    ``model(images)`` takes RGB pixels 0 to 255 of any real dtype, (batch, side, side, 3), and
    returns ``{"relaxed": (batch, bits) in (-1, 1), "logits": (batch, len(identities))}``, float32.
    Preprocessing is part of the model, so a single photo gets the same code as in a batch. The
    model saves as ``.keras`` and loads in safe mode, in a new process, on any backend.

    With ``input="vectors"``, it takes float vectors (batch, d) instead, such as face embeddings.

    A method is a subclass, registered with `keras.saving.register_keras_serializable`, that
    defines `build_network` and `loss_terms`.

    Args:
        bits: Code length, 1 to 1024.
        identities: Name of the identity of each class output, in order.
        pixel_mean: Mean of all training pixels, 0 to 255; None for vectors.
        pixel_std: Standard deviation of all training pixels; None for vectors.
        side: Height and width of an input image in pixels. Defaults to 32.
        crop: How the training faces were cropped; a search with another crop prints a warning.
        augmentation: Arguments of `augmentation_layers`; None for no augmentation.
        training_images: Record of the training images by `facehash.runs.fingerprint`, by which
            evaluation notices a query that was trained on; None if it is unknown, as in models of
            version 0.1.0. Training sets the attribute.
        earlier_identities: Names of the people that the initial weights were trained on, if they
            come from another model; see `inherit`.
        input: ``"image"`` (default) or ``"vectors"``. The attribute is `input_kind`, as Keras uses
            ``input`` for something else.
        vector_mean: Mean of the training vectors, d numbers; None for images.
        projection_scale: The mean absolute projection of each bit over the training images, by
            which the asymmetric distance divides those of a query, see
            `facehash.learning.encoding.projection_scale`. None without it, as in models of version
            0.1.0. Training sets the attribute.
        **kwargs: Arguments of `keras.Model`. `dtype` is the policy of the network's layers; it is
            saved with the model.

    Raises:
        InputError: The mean of the input is missing, or is that of the other kind of input; or the
            scale has another length than the code.
    """

    def __init__(
        self,
        *,
        bits: int,
        identities: Sequence[str],
        pixel_mean: float | None = None,
        pixel_std: float | None = None,
        side: int = 32,
        crop: str = "none",
        augmentation: Mapping[str, Any] | None = None,
        training_images: str | None = None,
        earlier_identities: Sequence[str] = (),
        input: str = "image",
        vector_mean: Sequence[float] | None = None,
        projection_scale: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        # Float pixels must not be cast to the half precision of the network.
        super().__init__(autocast=False, **kwargs)
        self.bits = bits
        self.identities = list(identities)
        self.input_kind = input
        self.side = side
        self.crop = crop
        self.augmentation = dict(augmentation or {})
        self.training_images = training_images
        self.earlier_identities = tuple(earlier_identities)
        if projection_scale is not None and len(projection_scale) != bits:
            raise InputError(
                f"projection_scale has {len(projection_scale)} values, the code {bits} bits"
            )
        self.projection_scale = None if projection_scale is None else list(projection_scale)
        standardize = {"dtype": "float32", "name": "standardize"}
        if input == "vectors":
            if vector_mean is None or not len(vector_mean) or pixel_mean or pixel_std:
                raise InputError("input 'vectors' needs vector_mean, and no statistics of pixels")
            if any(self.augmentation.values()):
                raise InputError("input 'vectors' has no augmentation")
            self.pixel_mean = self.pixel_std = None
            self.vector_mean = [float(value) for value in vector_mean]
            self.augment = []
            self.standardize = StandardizeVectors(self.vector_mean, **standardize)
        elif input == "image":
            if pixel_mean is None or pixel_std is None or vector_mean is not None:
                raise InputError(
                    "input 'image' needs pixel_mean and pixel_std, and no mean of vectors"
                )
            self.pixel_mean, self.pixel_std = float(pixel_mean), float(pixel_std)
            self.vector_mean = None
            self.augment = augmentation_layers(side, **self.augmentation)
            self.standardize = Standardize(self.pixel_mean, self.pixel_std, **standardize)
        else:
            raise InputError(f"input must be 'image' or 'vectors', got {input!r}")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of one input: (side, side, 3) of an image, or (d,) of a vector."""
        if self.input_kind == "vectors":
            return (len(self.vector_mean),)
        return (self.side, self.side, 3)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms that `loss_terms` returns."""
        return ("cross_entropy",)

    def build_network(self) -> keras.Model:
        """Return the network from standardized images to a dict with "relaxed" and "logits".

        Its input is ``keras.Input(self.item_shape)``. Name the layer before the hash layer
        ``"feature"``: the baselines hash its output. Those of vectors hash the input itself.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build_network")

    def loss_terms(self, labels, outputs, training: bool) -> dict[str, Any]:
        """Return the weighted terms whose sum is the loss, one for each of `term_names`.

        Args:
            labels: Integer tensor (batch,), classes 0 to ``len(identities) - 1``.
            outputs: The outputs of `call`.
            training: Whether this is a training step; otherwise no variable may change.

        Returns:
            Scalar tensors by name. `compute_loss` adds the weight decay of the kernels'
            regularizers.
        """
        return {"cross_entropy": cross_entropy(labels, outputs["logits"])}

    def build(self, input_shape: Any = None) -> None:
        """Create the weights; call this at the end of the constructor of a method."""
        if not self.built:
            with _dtype_policy(self.dtype_policy):
                self.network = self.build_network()
            self.term_means = {
                name: keras.metrics.Mean(name=name) for name in (*self.term_names, "weight_decay")
            }
            self.built = True

    def call(self, images, training: bool = False):
        """Compute relaxed codes and logits of (batch, side, side, 3) pixels 0 to 255.

        A model for vectors takes (batch, d).
        """
        if training:
            for layer in self.augment:
                images = layer(images, training=True)
        images = ops.cast(images, "float32")
        outputs = self.network(self.standardize(images), training=training)
        return {name: ops.cast(tensor, "float32") for name, tensor in outputs.items()}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the sum of the loss terms, and track each under its name."""
        terms = self.loss_terms(y, y_pred, training)
        terms["weight_decay"] = ops.sum(ops.stack(self.losses)) if self.losses else ops.zeros(())
        # Keras weights the loss by the batch size; the means of the terms must add up to it.
        size = ops.shape(y)[0]
        for name, term in terms.items():
            self.term_means[name].update_state(term, sample_weight=size)
        self.accuracy.update_state(y, y_pred["logits"])
        return sum(terms.values())

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export the model for other software, as `keras.Model.export` does.

        ``python -m experiments.export`` also compares the result with the model.

        Args:
            filepath: File or folder to write.
            format: ``"tf_saved_model"`` (default), ``"onnx"``, ``"litert"`` (TensorFlow Lite),
                ``"openvino"`` or ``"torch"``. Some need an optional package.
            verbose: Whether Keras prints what it has written.
            input_signature: Shapes and dtypes of the inputs. Default: float32 pixels 0 to 255,
                (any batch, side, side, 3), named ``images``; or (any batch, d), ``vectors``.
            **kwargs: Passed to Keras.

        Raises:
            InputError: An unknown format, or one that Keras cannot write on this backend.

        Example:
            >>> model.export("ddh-savedmodel")  # doctest: +SKIP
        """
        if format not in EXPORT_BACKENDS:
            raise InputError(f"format {format!r} is unknown{did_you_mean(format, EXPORT_BACKENDS)}")
        backends, current = EXPORT_BACKENDS[format], keras.backend.backend()
        if current not in backends:
            raise InputError(
                f"format {format!r} can be exported on the backend {' or '.join(backends)}, not on "
                f"{current}; start Python with KERAS_BACKEND={backends[0]} and load the model again"
            )
        if input_signature is None:
            name = "vectors" if self.input_kind == "vectors" else "images"
            shape = (None, *self.item_shape)
            input_signature = [keras.InputSpec(shape=shape, dtype="float32", name=name)]
        super().export(
            filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs
        )

    @property
    def trained_people(self) -> set[str]:
        """Names of all people that the weights were trained on."""
        return {*self.identities, *self.earlier_identities}

    def start_from(self, items: Any, labels: Any, seed: int) -> None:
        """Set weights from the training data before the first epoch; by default, none.

        A training that takes the weights of an earlier model, or goes on, does not call it.

        Args:
            items: The training images, uint8 (n, side, side, 3), or vectors, float32 (n, d).
            labels: Their classes, int (n,), 0 to ``len(identities) - 1``.
            seed: The run's seed.

        Raises:
            InputError: The method cannot start from these data.
        """

    def inherit(self, other: "HashModel") -> None:
        """Add what another model was trained on to the record; call it when its weights are taken.

        Args:
            other: The model whose weights this one starts from. If its training images are
                unknown, so are those of this model from now on.
        """
        known = self.training_images is not None and other.training_images is not None
        self.training_images = (
            merge_records(self.training_images, other.training_images) if known else None
        )
        people = (self.trained_people | other.trained_people) - set(self.identities)
        self.earlier_identities = tuple(sorted(people))

    def recentred(self, mean: Sequence[float]) -> "HashModel":
        """Return a copy of a model for vectors that subtracts another mean.

        Vectors of another collection have another mean; the mean of a gallery needs no labels.

        Args:
            mean: d finite numbers.

        Returns:
            A model with the same weights, not compiled.

        Raises:
            InputError: The model is for images, or the mean has another length.
        """
        if self.input_kind != "vectors" or len(mean) != len(self.vector_mean):
            expected = f"vectors of {len(self.vector_mean)}" if self.vector_mean else "images"
            raise InputError(f"this model takes {expected}, got a mean of {len(mean)}")
        values = [float(value) for value in mean]
        copy = type(self).from_config({**self.get_config(), "vector_mean": values})
        copy.set_weights(self.get_weights())
        return copy

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ["bits", "identities", "pixel_mean", "pixel_std", "side", "crop", "augmentation"]
        record: dict[str, Any] = {"training_images": self.training_images}
        if self.earlier_identities:
            record["earlier_identities"] = list(self.earlier_identities)
        if self.projection_scale is not None:
            record["projection_scale"] = list(self.projection_scale)
        if self.input_kind == "vectors":  # without these keys, older versions read the file
            record |= {"input": "vectors", "vector_mean": self.vector_mean}
        return super().get_config() | {name: getattr(self, name) for name in names} | record
