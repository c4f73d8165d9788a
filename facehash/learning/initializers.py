"""Initializing a stack of small kernels, each by its own fan-in."""

import numpy as np
from keras import initializers, ops


def independent_kernels(initializer: initializers.Initializer):
    """Return an initializer that draws every slice along the first axis separately.

    Keras computes the fan-in from the shape of the whole weight: for four kernels of fan-in 240,
    stored as (4, 240, 80), it would be 960, and the weights half as large.
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
        else:  # not random, or its generator moves on by itself
            draws = [initializer] * count
        return ops.stack([draw(block, dtype=dtype) for draw in draws])

    return initialize
