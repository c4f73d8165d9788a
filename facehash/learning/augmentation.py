"""Augmentation of training images: layers that do nothing outside training.

Pixels are moved by whole numbers of pixels, by one gather, on uint8 as well as on float images;
nothing is resampled. Every layer first draws its random numbers (`draw`) and then applies them
(`change`), which is a function of the images and the numbers alone.
"""

from typing import Any

import keras
from keras import ops

VERSION = 2
"""Changes whenever a seed gives other random changes: an interrupted training then cannot go on."""

AREAS, BRIGHTEST = (0.02, 0.33), 255.0  # sides of an erased rectangle: roots of two such shares


class Augmentation(keras.layers.Layer):
    """Base class: changes each image of a batch on its own, in training only.

    The random numbers follow from the state of the layer's generator, which is one of the model's
    variables. Backups contain it, so a resumed training draws what an uninterrupted one would.

    Input shape: (batch, side, side, channels), pixels 0 to 255. Output shape: the same.
    """

    numbers: tuple[Any, ...] | None = None
    """What `draw` has returned for the next batch already, if a training step must not draw."""

    def __init__(self, **kwargs: Any) -> None:
        # Float pixels must not be cast to the half precision of a network.
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.generator = keras.random.SeedGenerator()
        self.built = True

    def draw(self, images: Any) -> tuple[Any, ...]:
        """Draw the random numbers for a batch."""
        raise NotImplementedError

    def change(self, images: Any, *drawn: Any) -> Any:
        """Return the batch, changed by numbers that `draw` returned."""
        raise NotImplementedError

    def call(self, images: Any, training: bool = False) -> Any:
        """Change a batch, if this is a training step."""
        if not training:
            return images
        return self.change(images, *(self.draw(images) if self.numbers is None else self.numbers))

    def uniform(self, *shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        """Draw floats of a shape, each from `low` to `high`."""
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.generator)


class FlipAndShift(Augmentation):
    """Mirrors images with probability 1/2, then moves them by whole pixels.

    Args:
        flip: Mirror left and right.
        shift: Largest distance in pixels, down or up and right or left. Each whole number from
            ``-shift`` to ``shift`` has the same probability. Pixels at the edge are repeated.
    """

    def __init__(self, flip: bool, shift: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flip, self.shift = flip, shift

    def draw(self, images: Any) -> tuple[Any, Any]:
        """Draw mirrored, bool (batch,), and moved, int32 (batch, 2): pixels down and right."""
        count = ops.shape(images)[0]
        mirrored = self.uniform(count) < (0.5 if self.flip else 0.0)
        if not self.shift:
            return mirrored, ops.zeros((count, 2), "int32")
        places = 2 * self.shift + 1
        # The product can round up to `places`.
        steps = ops.minimum(ops.floor(self.uniform(count, 2) * places), places - 1)
        return mirrored, ops.cast(steps, "int32") - self.shift

    def change(self, images: Any, mirrored: Any, moved: Any) -> Any:
        """Return the mirrored and moved images, of the same dtype."""
        height, width, channels = images.shape[1:]
        rows = ops.arange(height, dtype="int32") - moved[:, :1]  # (batch, height)
        columns = ops.arange(width, dtype="int32") - moved[:, 1:]  # (batch, width)
        rows, columns = ops.clip(rows, 0, height - 1), ops.clip(columns, 0, width - 1)
        columns = ops.where(mirrored[:, None], width - 1 - columns, columns)
        places = ops.reshape(rows[:, :, None] * width + columns[:, None, :], (-1, height * width))
        pixels = ops.reshape(images, (-1, height * width, channels))
        return ops.reshape(_take_pixels(pixels, places), (-1, height, width, channels))


class Brightness(Augmentation):
    """Adds one number to all pixels of an image; the result is cut to 0 to 255.

    Args:
        share: 0 to 1; the numbers are -255 `share` to 255 `share`.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def draw(self, images: Any) -> tuple[Any]:
        """Draw the numbers to add, float32 (batch,)."""
        most = self.share * BRIGHTEST
        return (self.uniform(ops.shape(images)[0], low=-most, high=most),)

    def change(self, images: Any, added: Any) -> Any:
        """Return the images, float32."""
        changed = ops.cast(images, "float32") + added[:, None, None, None]
        return ops.clip(changed, 0.0, BRIGHTEST)


class Contrast(Augmentation):
    """Multiplies the distance of each pixel from the image's mean; the result is 0 to 255.

    The mean is that of the channel.

    Args:
        share: 0 to 1; the factors are ``1 - share`` to ``1 + share``.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def draw(self, images: Any) -> tuple[Any]:
        """Draw the factors, float32 (batch,)."""
        low, high = 1 - self.share, 1 + self.share
        return (self.uniform(ops.shape(images)[0], low=low, high=high),)

    def change(self, images: Any, factors: Any) -> Any:
        """Return the images, float32."""
        images = ops.cast(images, "float32")
        means = ops.mean(images, axis=(1, 2), keepdims=True)
        return ops.clip((images - means) * factors[:, None, None, None] + means, 0.0, BRIGHTEST)


class Erase(Augmentation):
    """Covers a rectangle of some images by noise.

    Each side of the rectangle is the root of a number from .02 to .33, as a share of the image's.
    The noise is normal, with a standard deviation of 255, cut to 0 to 255. It is drawn once per
    batch: each image has another part of the same picture of noise.

    Args:
        share: Share of the images, 0 to 1.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def draw(self, images: Any) -> tuple[Any, Any, Any]:
        """Draw rectangles (batch, 4), chosen (batch,), noise (side, side, channels).

        A rectangle is first row, first column, end of rows and end of columns, float32.
        """
        count = ops.shape(images)[0]
        sides = ops.convert_to_tensor(tuple(images.shape[1:3]), "float32")
        sizes = ops.sqrt(self.uniform(count, 2, low=AREAS[0], high=AREAS[1])) * sides
        starts = self.uniform(count, 2) * (sides - sizes)
        rectangles = ops.concatenate([starts, starts + sizes], axis=1)
        noise = keras.random.normal(tuple(images.shape[1:]), dtype="float32", seed=self.generator)
        chosen = self.uniform(count) < self.share
        return rectangles, chosen, ops.clip(noise * BRIGHTEST, 0.0, BRIGHTEST)

    def change(self, images: Any, rectangles: Any, chosen: Any, noise: Any) -> Any:
        """Return the images, float32."""
        sides = [
            (ops.arange(side, dtype="float32") >= rectangles[:, axis, None])
            & (ops.arange(side, dtype="float32") < rectangles[:, axis + 2, None])
            for axis, side in enumerate(images.shape[1:3])
        ]  # bool (batch, height) and (batch, width)
        covered = sides[0][:, :, None] & sides[1][:, None, :] & chosen[:, None, None]
        return ops.where(covered[..., None], noise, ops.cast(images, "float32"))


def augmentation_layers(
    side: int,
    *,
    flip: bool = False,
    shift: int = 0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    erase: float = 0.0,
) -> list[Augmentation]:
    """Return the layers that a model applies in training, in order, to pixels from 0 to 255.

    Args:
        side: Height and width of the images in pixels.
        flip: Mirror left and right with probability 1/2.
        shift: Maximum shift in pixels in each direction, 0 to side / 2. Each whole number from
            ``-shift`` to ``shift`` is equally likely; edge pixels are repeated.
        brightness: Maximum amount added to all pixels or subtracted, as a share of 255, 0 to 1.
        contrast: Maximum relative change of contrast, 0 to 1: distances from the image's mean are
            multiplied by ``1 - contrast`` to ``1 + contrast``.
        erase: Share of images in which a random rectangle is erased, 0 to 1.

    Returns:
        A list of layers, empty if everything is off. The first one takes uint8 or float images.

    Raises:
        ValueError: `shift` is half of the side or more.
    """
    if 2 * shift >= side and shift:
        raise ValueError(f"shift {shift} must be less than half of the side {side}")
    chosen: list[Augmentation] = []
    if flip or shift:
        chosen.append(FlipAndShift(flip, shift, name="flip_and_shift"))
    if brightness:
        chosen.append(Brightness(brightness, name="brightness"))
    if contrast:
        chosen.append(Contrast(contrast, name="contrast"))
    if erase:
        chosen.append(Erase(erase, name="erase"))
    return chosen


def _take_pixels(pixels: Any, places: Any) -> Any:
    """Take pixels (batch, n, channels) at the places int32 (batch, m) of each image.

    Keras's own gather along an axis would copy the places once per channel, and on several devices
    a gather over the whole batch would collect all images on each.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        return tensorflow.gather(pixels, places, axis=1, batch_dims=1)
    if backend == "jax":
        import jax.numpy

        # All places are inside.
        return jax.numpy.take_along_axis(
            pixels, places[:, :, None], axis=1, mode="promise_in_bounds"
        )
    import torch

    # Ten times faster on a CPU than a gather along an axis.
    count, size, channels = pixels.shape
    first = torch.arange(count, device=pixels.device, dtype=places.dtype)[:, None] * size
    rows = torch.index_select(pixels.reshape(-1, channels), 0, (places + first).reshape(-1))
    return rows.reshape(count, -1, channels)
