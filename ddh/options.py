"""The options of DDH, with the published values as defaults."""

from typing import Literal

from pydantic import Field

from facehash.config import Strict


class Options(Strict):
    """The ``model:`` section of a DDH configuration; `ddh.model.DDH` explains the keys."""

    block: int = Field(default=4, ge=1)
    hashing: Literal["divide_and_encode", "dense"] = "divide_and_encode"
    code_batch_norm: bool = True
    quantization_weight: float = Field(default=0.01, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
