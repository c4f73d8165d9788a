"""What a table's YAML file may hold: methods, baselines, code lengths, protocols and seeds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from facehash.config import Strict, describe_errors
from facehash.errors import InputError, did_you_mean

Baseline = Literal["lsh", "itq", "classifier", "cosine"]
ItemT = TypeVar("ItemT")

OF_THE_TABLE = ("bits", "seed", "dataset.protocol")
"""What the table decides for every cell, so that no row can set it."""


class GridError(InputError):
    """A table's YAML file that cannot be used: which row, what is wrong, what would be right."""


def _each_once(values: list[ItemT]) -> list[ItemT]:
    if len(set(values)) < len(values):
        raise ValueError("each may be given once")
    return values


def _one_line(text: str) -> str:
    if len(text.splitlines()) != 1:
        raise ValueError("must be one line of text")
    return text


_Line = Annotated[str, AfterValidator(_one_line)]
_Length = Annotated[int, Field(ge=1, le=1024)]
_Lengths = Annotated[list[_Length], Field(min_length=1), AfterValidator(_each_once)]
_Seed = Annotated[int, Field(ge=0, lt=2**32)]
_Seeds = Annotated[list[_Seed], Field(min_length=1), AfterValidator(_each_once)]
_Protocol = Literal["seen", "unseen"]
_Protocols = Annotated[list[_Protocol], Field(min_length=1), AfterValidator(_each_once)]


class RowConfig(Strict):
    """One method of a table, or a baseline on a method's network.

    Attributes:
        id: Short name, in names of files.
        label: What tables and figures call it.
        config: Of a method: its YAML file, relative to the table's.
        set: Overrides ``section.key=value`` of that file.
        baseline: Instead of `config`: ``lsh`` or ``itq`` codes of the network's features, the
            ``classifier`` code, or the exact ``cosine`` of the features.
        of: Of a baseline: the row whose networks it uses.
        bits: Code lengths, where they are not the table's; of ``cosine`` unused.
        seeds: Seeds, where they are not the table's; of a baseline those of its row.
        protocols: Protocols, where they are not the table's.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")
    label: _Line
    config: str | None = None
    set: list[str] = []
    baseline: Baseline | None = None
    of: str | None = None
    bits: _Lengths | None = None
    seeds: _Seeds | None = None
    protocols: _Protocols | None = None

    @model_validator(mode="after")
    def _method_or_baseline(self) -> RowConfig:
        if (self.config is None) == (self.baseline is None):
            raise ValueError("a row has either config (a method) or baseline, exactly one")
        if (self.baseline is None) != (self.of is None):
            raise ValueError("of goes with baseline, and names the row of its network")
        if self.baseline and (self.set or self.seeds):
            raise ValueError("a baseline takes its seeds and settings from the row that of names")
        for override in self.set:
            key = override.partition("=")[0]
            if key in OF_THE_TABLE:
                raise ValueError(f"{key} is not a row's to set: the table's bits, seeds, protocols")
        return self


class PapersData(Strict):
    """How many images the papers' gallery and queries have: published numbers need the same."""

    gallery: int = Field(ge=1)
    query: int = Field(ge=1)


class TableConfig(Strict):
    """What a file of experiments/tables/ holds.

    Attributes:
        title: Of the table.
        note: What a reader must know to read it: the budget, and what makes the data easy or hard.
        bits: Code lengths.
        seeds: Seeds of the runs.
        protocols: ``seen``, ``unseen``.
        papers: Size of the papers' data, where this is the data of papers.
        rows: Methods and baselines, in the order in which they are measured and shown.
    """

    title: _Line
    note: str = Field(min_length=1)
    bits: _Lengths
    seeds: _Seeds
    protocols: _Protocols
    papers: PapersData | None = None
    rows: list[RowConfig] = Field(min_length=1)

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
                f"row {row.id}: of {row.of!r} is no row with a config"
                f"{did_you_mean(str(row.of), networks)}"
            )
        trained = networks[row.of].protocols or self.protocols
        if set(row.protocols or trained) - set(trained):
            raise ValueError(f"row {row.id}: {row.of} is not trained for every protocol it asks")
        lengths = networks[row.of].bits or self.bits
        if row.baseline == "classifier" and set(row.bits or lengths) - set(lengths):
            raise ValueError(f"row {row.id}: {row.of} is not trained at every length it asks")
        if row.baseline == "classifier" and (row.protocols or trained) != ["seen"]:
            raise ValueError(
                f"row {row.id}: a classifier knows no strangers; set protocols: [seen]"
            )


def check_table(tree: Any, source: str) -> TableConfig:
    """Turn plain values into a checked table.

    Args:
        tree: What the YAML file holds.
        source: What error messages begin with.

    Raises:
        GridError: An unknown or missing key, a wrong value, or rows that do not fit together.
    """
    if not isinstance(tree, dict):
        raise GridError(f"{source}: a table is a mapping of keys, got {type(tree).__name__}")
    try:
        return TableConfig.model_validate(tree)
    except ValidationError as error:
        raise GridError(f"{source}: {describe_errors(error, TableConfig)}") from error
