"""Keys of a table's YAML file: methods, baselines, code lengths, protocols and seeds."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from facehash.config import Strict
from facehash.errors import InputError, did_you_mean

# `experiments.table.baselines` explains them.
Baseline = Literal["lsh", "itq", "witq", "ndh", "classifier", "cosine"]
ItemT = TypeVar("ItemT")

OF_THE_TABLE = ("bits", "seed", "dataset.protocol")
"""Keys that the table sets for every cell, so that no row can set them."""


class GridError(InputError):
    """An invalid YAML file of a table: which row, what is wrong, what would be right."""


def _each_once(values: list[ItemT]) -> list[ItemT]:
    if len(set(values)) < len(values):
        raise ValueError("each may be given once")
    return values


def _one_line(text: str) -> str:
    if len(text.splitlines()) != 1:
        raise ValueError("must be one line of text")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Length = Annotated[int, Field(ge=1, le=1024)]
Lengths = Annotated[list[Length], Field(min_length=1), AfterValidator(_each_once)]
_Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[list[_Seed], Field(min_length=1), AfterValidator(_each_once)]
_K = Annotated[int, Field(ge=1)]
_Ks = Annotated[list[_K], AfterValidator(_each_once)]
_Protocol = Literal["seen", "unseen"]
_Protocols = Annotated[list[_Protocol], Field(min_length=1), AfterValidator(_each_once)]


class RowConfig(Strict):
    """One method of a table, or a baseline on the networks of a method.

    Code lengths, seeds and protocols are given if they differ from the table's.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")  # short name, used in file names
    label: Line  # name in tables and figures
    config: str | None = None  # for a method: its YAML file, relative to the table's
    set: list[str] = []  # overrides section.key=value of that file
    baseline: Baseline | None = None  # instead of config
    of: str | None = None  # for a baseline: the row whose networks it uses
    bits: Lengths | None = None  # unused for cosine
    seeds: Seeds | None = None  # a baseline uses those of its network
    protocols: _Protocols | None = None

    @model_validator(mode="after")
    def _method_or_baseline(self) -> RowConfig:
        if (self.config is None) == (self.baseline is None):
            raise ValueError("a row needs exactly one of config (a method) and baseline")
        if (self.baseline is None) != (self.of is None):
            raise ValueError("baseline and of go together: of names the row of its network")
        if self.baseline and (self.set or self.seeds):
            raise ValueError("a baseline uses the seeds and settings of the row named by of")
        for override in self.set:
            key = override.partition("=")[0]
            if key in OF_THE_TABLE:
                raise ValueError(f"a row cannot set {key}; use the keys bits, seeds and protocols")
        return self


class PapersData(Strict):
    """Sizes of the papers' gallery and query sets; published numbers are shown only if equal."""

    gallery: int = Field(ge=1)
    query: int = Field(ge=1)


class TableConfig(Strict):
    """The content of a file of experiments/tables/."""

    title: Line
    note: str = Field(min_length=1)  # the budget, and what makes the data easy or hard
    bits: Lengths
    seeds: Seeds
    protocols: _Protocols
    at: _Ks = []  # values of K: three columns mAP@K each
    papers: PapersData | None = None  # for the data sets of the papers
    rows: list[RowConfig] = Field(min_length=1)  # in the order of the table

    @model_validator(mode="after")
    def _rows_fit_together(self) -> TableConfig:
        for key in ("id", "label"):
            names = [getattr(row, key) for row in self.rows]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"two rows have the {key} {twice[0]!r}")
        networks = {row.id: row for row in self.rows if row.config}
        for row in self.rows:
            if row.of is not None:
                self._check_baseline(row, networks)
        return self

    def _check_baseline(self, row: RowConfig, networks: dict[str, RowConfig]) -> None:
        if row.of not in networks:
            raise ValueError(
                f"row {row.id}: of: no row {row.of!r} with a config"
                f"{did_you_mean(str(row.of), networks)}"
            )
        trained = networks[row.of].protocols or self.protocols
        if set(row.protocols or trained) - set(trained):
            raise ValueError(f"row {row.id}: {row.of} is not trained with all of its protocols")
        lengths = networks[row.of].bits or self.bits
        if row.baseline == "classifier" and set(row.bits or lengths) - set(lengths):
            raise ValueError(f"row {row.id}: {row.of} is not trained at all of its code lengths")
        if row.baseline == "classifier" and (row.protocols or trained) != ["seen"]:
            raise ValueError(
                f"row {row.id}: a classifier cannot name unseen identities; set protocols: [seen]"
            )
