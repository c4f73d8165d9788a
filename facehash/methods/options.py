"""The options of the methods in this folder; imports no Keras."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from facehash.config import Strict

Targets = Literal["auto", "hadamard", "balanced", "bernoulli"]


class BackboneOptions(Strict):
    """Options of the network; `facehash.methods.backbone.BackboneModel` explains the keys."""

    backbone: Literal["ddh", "dcbh", "vectors"] = "ddh"
    width: int | None = Field(default=None, ge=1)
    hidden: int = Field(default=0, ge=0)
    code_batch_norm: bool = False
    weight_decay: float = Field(default=1e-4, ge=0)

    @property
    def input(self) -> Literal["image", "vectors"]:
        """What the network takes."""
        return "vectors" if self.backbone == "vectors" else "image"

    @model_validator(mode="after")
    def _the_backbone_has_these_layers(self) -> BackboneOptions:
        if self.hidden and self.backbone != "vectors":
            raise ValueError(f"hidden is for the backbone vectors, got backbone {self.backbone!r}")
        if self.width is not None and self.backbone == "vectors":
            raise ValueError("width is for backbones of images; set hidden for vectors")
        return self


class OrthoHashOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.orthohash.OrthoHash`."""

    code_batch_norm: bool = True
    scale: float = Field(default=8.0, gt=0)
    margin: float = Field(default=0.2, ge=0, lt=2)
    targets: Targets = "bernoulli"


class CSQOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.csq.CSQ`."""

    quantization_weight: float = Field(default=0.05, ge=0)
    targets: Targets = "auto"


class GreedyHashOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.greedyhash.GreedyHash`."""

    penalty_weight: float = Field(default=0.1, ge=0)
    power: float = Field(default=3.0, ge=1)


class DPNOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.dpn.DPN`."""

    margin: float = Field(default=1.0, gt=0)
    targets: Targets = "bernoulli"


class DCDHOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.dcdh.DCDH`."""

    code_batch_norm: bool = True
    sigma: float = Field(default=0.25, gt=0)
    separation_weight: float = Field(default=0.1, ge=0)
    regression_weight: float = Field(default=0.01, ge=0)


class NDHOptions(BackboneOptions):
    """The ``model:`` section of `facehash.methods.ndh.NDH`."""

    teacher: float = Field(default=0.03, gt=0)
    student: float = Field(default=0.06, gt=0)
    quantization_weight: float = Field(default=0.1, ge=0)
    supervised_weight: float = Field(default=0.1, ge=0)
    feature_weight: float = Field(default=1.0, ge=0)
    shrink: float = Field(default=0.1, gt=0, le=1)
