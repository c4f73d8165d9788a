"""What a configuration may set on DCBH, with the published values as defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from facehash.config import Strict


class Options(Strict):
    """The ``model:`` section of a DCBH configuration; every part can be switched off.

    Attributes:
        block: Features that become one bit.
        hashing: ``block`` hashing, or ``divide_and_encode`` as in DDH.
        two_scales: Whether the features of group 3 join those of group 4.
        feature_classifier: Whether the feature is classified too, beside the relaxed code.
        quantization_weight: Weight of ``mean | target - |h| |``.
        center_weight: Weight of the center loss; 0 leaves it out.
        centers: How centers move: by the ``moving`` update, by the optimizer's ``gradient``, or by
            ``both`` as in the released code.
        weight_decay: Weight of half the sum of squares of all kernels. The released code intended
            2e-4; in effect it had about 0, because it squares the penalty once more.
    """

    block: int = Field(default=6, ge=1)
    hashing: Literal["block", "divide_and_encode"] = "block"
    two_scales: bool = True
    feature_classifier: bool = True
    quantization_weight: float = Field(default=0.1, ge=0)
    center_weight: float = Field(default=1e-4, ge=0)
    centers: Literal["moving", "gradient", "both"] = "moving"
    weight_decay: float = Field(default=0.0, ge=0)
