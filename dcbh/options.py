"""The options of DCBH, with the published values as defaults."""

from typing import Literal

from pydantic import Field

from facehash.config import Strict


class Options(Strict):
    """The ``model:`` section of a DCBH configuration; `dcbh.model.DCBH` explains the keys."""

    block: int = Field(default=6, ge=1)
    hashing: Literal["block", "divide_and_encode"] = "block"
    two_scales: bool = True
    feature_classifier: bool = True
    quantization_weight: float = Field(default=0.1, ge=0)
    center_weight: float = Field(default=1e-4, ge=0)
    centers: Literal["moving", "gradient", "both"] = "moving"
    weight_decay: float = Field(default=0.0, ge=0)
