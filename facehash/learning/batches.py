"""Training batches whose order follows from the seed and the epoch alone."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of images and classes, in a new order each epoch.

    The order of epoch e is a function of (seed, e), so that a resumed run sees the batches that
    an unbroken one would have seen. Images stay uint8 until the model casts them.

    Args:
        images: uint8 (n, side, side, 3).
        classes: int (n,).
        batch: Images a batch; the last one of an epoch may be smaller.
        seed: Of the order.
        epoch: The epoch to begin with, from 0.
        multiple: The last batch is cut to a multiple of this many images, so that devices can
            share it evenly. Which images an epoch leaves out follows from its order.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        classes: NDArray[np.integer],
        batch: int,
        seed: int,
        epoch: int = 0,
        multiple: int = 1,
    ) -> None:
        super().__init__()
        self.images = images
        self.classes = classes
        self.batch = batch
        self.seed = seed
        self.epoch = epoch
        self.used = len(images) // multiple * multiple
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.used // self.batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
        """Return batch `index` of the current epoch."""
        rows = self._order[index * self.batch : (index + 1) * self.batch]
        return self.images[rows], self.classes[rows]

    def on_epoch_end(self) -> None:
        """Go on to the order of the next epoch."""
        self.epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.images))
        return order[: self.used]
