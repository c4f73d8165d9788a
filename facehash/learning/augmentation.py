"""Augmentation of training images by Keras layers that do nothing outside training."""

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
    """Return the layers that a model applies in training, in order, to pixels from 0 to 255.

    Args:
        side: Height and width of the images in pixels.
        flip: Mirror left and right with probability 1/2.
        shift: Maximum shift in pixels in each direction, 0 to side / 2; edge pixels are repeated.
        brightness: Maximum amount added to all pixels or subtracted, as a share of 255, 0 to 1.
        contrast: Maximum relative change of contrast, 0 to 1: distances from the image's mean are
            multiplied by ``1 - contrast`` to ``1 + contrast``.
        erase: Share of images in which a random rectangle is erased, 0 to 1.

    Returns:
        A list of Keras layers, empty if everything is off.
    """
    # Always float32: bfloat16 would round pixels.
    common = {"dtype": "float32", "data_format": "channels_last"}
    reach = shift / side
    # Keras reads one number as a range from 0: contrast would only rise, and `erase` be halved.
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
