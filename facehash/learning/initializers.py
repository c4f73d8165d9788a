"""Initialising a stack of small kernels, each by its own fan-in."""

from __future__ import annotations

import numpy as np
from keras import initializers, ops


def independent_kernels(initializer: initializers.Initializer):
    """Initialise every slice along the first axis as a kernel of its own.

    Keras takes the fan-in from a whole weight's shape. A stack of small kernels would be drawn as
    one large kernel, with too small a spread: (4, 240, 80) as fan-in 960 where each has 240.
    """
    seed = getattr(initializer, "seed", None)

    def initialize(shape, dtype=None):
        count, *block = shape
        if isinstance(seed, int):
            config, seeds = initializer.get_config(), np.random.SeedSequence(seed)
            draws = [
                type(initializer).from_config({**config, "seed": int(one)})
                for one in seeds.generate_state(count)
            ]
        else:  # not random, or drawing from a generator that moves on by itself
            draws = [initializer] * count
        return ops.stack([draw(block, dtype=dtype) for draw in draws])

    return initialize
