"""Keys of a table of codes for unseen people: data, galleries, methods and bars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from experiments.table.config import GridError, Length, Lengths, Line, Seeds
from experiments.table.grid import read_table
from facehash import methods
from facehash.config import ConfigError, RunConfig, Strict, describe_errors, load_config
from facehash.errors import did_you_mean

KIND = "unseen_people"
"""Value of the key ``kind`` of such a table."""

Method = Literal["float", "lsh", "pca", "itq", "opq", "witq", "ndh"]
"""What needs no network, see `experiments.unseen.heads`."""

Fit = Literal["none", "others", "recentred", "adapted"]
"""What a head is fitted to: nothing, other people, those with the mean of the gallery, or the
gallery (its vectors, never its labels)."""

Distance = Literal["vectors", "hamming", "asymmetric", "shortlist"]

FITS: dict[str, tuple[Fit, ...]] = {
    "float": ("none", "recentred"),
    **dict.fromkeys(get_args(Method)[1:], ("others", "recentred", "adapted")),
    "network": ("others", "recentred"),
}
"""The fits of each method; a network needs labels, which a gallery does not have."""


class UnseenRow(Strict):
    """One method of a table: without a network, or a YAML file to train one on vectors."""

    id: str = Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")  # short name, used in file names
    label: Line  # name in tables and figures
    method: Method | None = None
    config: str | None = None  # instead of method: a file to train from, relative to the table's
    set: list[str] = []  # overrides section.key=value of that file
    seeds: Seeds | None = None  # if they differ from the table's
    shortlist: bool = False  # whether to score a shortlist, see `Shortlist`

    @model_validator(mode="after")
    def _method_or_config(self) -> UnseenRow:
        if (self.config is None) == (self.method is None):
            raise ValueError("a row needs exactly one of config (a network) and method")
        if self.shortlist and self.method in ("float", "opq"):
            raise ValueError("a shortlist needs the Hamming distance of codes")
        return self

    @property
    def fits(self) -> tuple[Fit, ...]:
        """What the heads of this method are fitted to."""
        return FITS[self.method or "network"]


class Gallery(Strict):
    """A gallery: the photos of the judged people, and distractors up to a size."""

    id: str = Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")
    size: int | None = Field(default=None, ge=1)  # None without distractors


class Shortlist(Strict):
    """`candidates` nearest by Hamming distance, in asymmetric order, the first `last` by vectors.

    The `last` of the asymmetric order whose float vectors are read are its first ones.
    """

    candidates: int = Field(default=1000, ge=1)
    last: int = Field(default=10, ge=1)


class Side(Strict):
    """A score of a bar: of a row, a fit and a distance."""

    row: str
    fit: Fit
    distance: Distance


class Bar(Strict):
    """A goal of the table: how much better one method should be than another."""

    of: Side
    against: Side
    metric: Literal["mAP", "P@1"] = "mAP"
    at_least: float  # the difference that meets the bar


class UnseenConfig(Strict):
    """The content of a table's file."""

    kind: Literal["unseen_people"]
    title: Line
    note: str = Field(min_length=1)
    train: str  # files of labeled vectors in the folder given by --data
    judged: str
    distractors: str
    galleries: list[Gallery] = Field(min_length=1)
    bits: Lengths
    seeds: Seeds
    draws: int = Field(default=5, ge=1)  # of held-out queries; draw d uses seed d mod their number
    leave_one_out: int = Field(default=1000, ge=1)  # at most so many queries
    shortlist: Shortlist = Shortlist()
    bars_bits: Length = 64
    bars_gallery: str
    bars: list[Bar] = []
    baseline: str  # the row with which the others are compared
    rows: list[UnseenRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_fit_together(self) -> UnseenConfig:
        for key in ("id", "label"):
            names = [getattr(row, key) for row in self.rows]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"two rows have the {key} {twice[0]!r}")
        rows = {row.id: row for row in self.rows}
        sides = [side for bar in self.bars for side in (bar.of, bar.against)]
        for name in [self.baseline, *(side.row for side in sides)]:
            if name not in rows:
                raise ValueError(f"no row {name!r}{did_you_mean(name, rows)}")
        for side in sides:
            if side.fit not in rows[side.row].fits:
                raise ValueError(f"bars: the row {side.row} has no fit {side.fit!r}")
        if self.bars_gallery not in [gallery.id for gallery in self.galleries]:
            raise ValueError(f"bars_gallery: no gallery {self.bars_gallery!r}")
        return self


@dataclass(frozen=True)
class UnseenCell:
    """What is fitted and scored in one process: a method at a code length."""

    row: UnseenRow
    bits: int | None  # None for float vectors
    network: None = None  # it needs no other cell

    @property
    def name(self) -> str:
        """Row and bits."""
        return f"{self.row.id}-{self.bits or 'float'}"


@dataclass(frozen=True)
class UnseenTable:
    """A table: its YAML file and the file's content."""

    path: Path
    config: UnseenConfig

    @property
    def name(self) -> str:
        """Stem of the file."""
        return self.path.stem

    @property
    def cells(self) -> list[UnseenCell]:
        """The cells, in the order of the file."""
        return list(self._cells())

    def _cells(self) -> Iterator[UnseenCell]:
        for row in self.config.rows:
            for bits in [None] if row.method == "float" else self.config.bits:
                yield UnseenCell(row, bits)

    def report_name(self, cell: UnseenCell) -> str:
        """File name of a cell's report."""
        return f"{self.name}-{cell.name}.json"

    def seeds(self, cell: UnseenCell) -> list[int]:
        """Return the seeds of a cell; draw d uses number d modulo their number."""
        return cell.row.seeds or self.config.seeds

    def settings(self, cell: UnseenCell, seed: int) -> RunConfig[Any]:
        """Return the configuration of the network of a cell.

        Raises:
            ConfigError: The row's YAML file or one of its overrides is invalid.
        """
        path = self.path.parent / str(cell.row.config)
        own = [*cell.row.set, f"bits={cell.bits}", f"seed={seed}"]
        return load_config(path, methods.options_class, own)


def load_unseen_table(path: Path) -> UnseenTable:
    """Read a table's YAML file.

    Raises:
        GridError: No such file, an unknown key, a wrong value, or inconsistent rows.
        ConfigError: The configuration of a row is invalid, or is none of a linear head on vectors.
    """
    try:
        config = UnseenConfig.model_validate(read_table(path))
    except ValidationError as error:
        raise GridError(f"{path}: {describe_errors(error, UnseenConfig)}") from error
    table = UnseenTable(path, config)
    for row in config.rows:
        if row.config:
            _check_head(table, row)
    return table


def _check_head(table: UnseenTable, row: UnseenRow) -> None:
    try:
        settings = table.settings(UnseenCell(row, table.config.bits[0]), 0)
    except ConfigError as error:
        raise ConfigError(f"{table.path}: row {row.id}: {error}") from error
    if settings.input != "vectors" or getattr(settings.model, "hidden", 0):
        raise ConfigError(
            f"{table.path}: row {row.id}: {row.config} is no linear head on vectors; it needs "
            "model.backbone vectors and model.hidden 0"
        )
