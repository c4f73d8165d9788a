"""What a configuration may set on DDH, with the published values as defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from facehash.config import Strict


class Options(Strict):
    """The ``model:`` section of a DDH configuration.

    Attributes:
        block: Features that divide-and-encode turns into one bit.
        hashing: ``divide_and_encode``, or ``dense``: each bit sees all features, for comparison.
        code_batch_norm: Batch normalisation before the tanh, as the released code does; off
            follows the paper's figure.
        quantization_weight: Weight of ``mean(| |h| - 1 |)``.
        weight_decay: Weight of the sum of squares of all kernels.
    """

    block: int = Field(default=4, ge=1)
    hashing: Literal["divide_and_encode", "dense"] = "divide_and_encode"
    code_batch_norm: bool = True
    quantization_weight: float = Field(default=0.01, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
