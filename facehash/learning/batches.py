"""Training batches, shuffled by the seed and the number of the epoch."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of images and classes, in a new order every epoch.

    The order is a function of seed and epoch, so a resumed run sees the same batches as an
    uninterrupted one. Images stay uint8 until the model casts them.

    Args:
        images: uint8 (n, side, side, 3), or vectors float32 (n, d).
        classes: int (n,).
        batch: Images per batch; the last batch of an epoch may be smaller.
        seed: Seed of the order.
        epoch: The first epoch, counted from 0.
        multiple: The last batch is cut to a multiple of this number of images, so that devices
            can share it evenly. An epoch then omits a few images, other ones each time.
        smallest: A last batch of fewer images is omitted in the same way.
        together: Yield row numbers instead of images, for images that are kept on the device: int32
            (together, batch) where so many whole batches are left, else (1, batch), and with 0
            (batch,). None yields images.
    """

    def __init__(
        self,
        images: NDArray[Any],
        classes: NDArray[np.integer],
        batch: int,
        seed: int,
        epoch: int = 0,
        multiple: int = 1,
        smallest: int = 1,
        together: int | None = None,
    ) -> None:
        super().__init__()
        self.images, self.classes, self.batch = images, classes, batch
        self.seed, self.epoch = seed, epoch
        self.used = len(images) // multiple * multiple
        if self.used > batch and self.used % batch < smallest:
            self.used -= self.used % batch
        self.together = together
        # First image of each item, and the end.
        whole, several = self.used // batch, max(1, together or 1)
        calls = whole // several
        edges = [*range(0, calls * several, several), *range(calls * several, whole + 1)]
        self.edges = [edge * batch for edge in edges]
        if self.used > self.edges[-1]:
            self.edges.append(self.used)
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Return the number of items in an epoch: batches, or several together."""
        return len(self.edges) - 1

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[np.integer]]:
        """Return item `index` of the current epoch."""
        rows = self._order[self.edges[index] : self.edges[index + 1]]
        if self.together is None:
            return self.images[rows], self.classes[rows]
        rows = rows.astype(np.int32)
        if self.together:
            rows = rows.reshape(-(-len(rows) // self.batch), -1)
        return rows, self.classes[rows]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.images))
        return order[: self.used]
