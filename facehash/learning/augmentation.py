"""Random changes of training images, as Keras layers that do nothing outside training."""

from __future__ import annotations

from keras import layers


def augmentation_layers(
    side: int,
    *,
    flip: bool = False,
    shift: int = 0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    erase: float = 0.0,
) -> list[layers.Layer]:
    """List the layers that a model applies, in order, to images of pixels 0 to 255 in training.

    Args:
        side: Height and width of the images in pixels.
        flip: Mirror left and right with probability one half.
        shift: Move by up to this many pixels in each direction, edge pixels repeated.
        brightness: Add up to this share of 255 to, or take it from, all pixels of an image, 0..1.
        contrast: Scale the distance from an image's mean by ``1 - contrast`` to ``1 + contrast``.
        erase: Share of images of which a random rectangle is erased, 0..1.

    Returns:
        Keras layers; an empty list when everything is off.
    """
    # In float32 whatever the network computes in: a bfloat16 pixel has 8 bits of precision at best.
    common = {"dtype": "float32", "data_format": "channels_last"}
    reach = shift / side
    # Keras takes one number for a range from 0: contrast would only rise, and `erase` be halved.
    contrasts, erased = (contrast, contrast), (erase, erase)
    chosen: list[layers.Layer] = []
    if flip:
        chosen.append(layers.RandomFlip("horizontal", name="flip", **common))
    if shift:
        how = {"fill_mode": "nearest", "interpolation": "nearest"}
        chosen.append(layers.RandomTranslation(reach, reach, name="shift", **how, **common))
    if brightness:
        chosen.append(layers.RandomBrightness(brightness, name="brightness", **common))
    if contrast:
        chosen.append(layers.RandomContrast(contrasts, name="contrast", **common))
    if erase:
        chosen.append(layers.RandomErasing(erased, name="erase", **common))
    return chosen
