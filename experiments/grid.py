"""The grid of a table: which methods, code lengths, protocols and seeds, from one YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from facehash import methods
from facehash.config import ConfigError, RunConfig, Strict, load_config
from facehash.errors import InputError, did_you_mean
from facehash.strict_yaml import parse_yaml

Baseline = Literal["lsh", "itq", "classifier", "cosine"]
TABLES = Path(__file__).resolve().parent / "tables"


class GridError(InputError):
    """A table's YAML file that cannot be used: which row, what is wrong, what would be right."""


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
    label: str = Field(min_length=1)
    config: str | None = None
    set: list[str] = []
    baseline: Baseline | None = None
    of: str | None = None
    bits: list[int] | None = Field(default=None, min_length=1)
    seeds: list[int] | None = Field(default=None, min_length=1)
    protocols: list[Literal["seen", "unseen"]] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _method_or_baseline(self) -> RowConfig:
        if (self.config is None) == (self.baseline is None):
            raise ValueError("a row has either config (a method) or baseline, exactly one")
        if (self.baseline is None) != (self.of is None):
            raise ValueError("of goes with baseline, and names the row of its network")
        if self.baseline and (self.set or self.seeds):
            raise ValueError("a baseline takes its seeds and settings from the row that of names")
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

    title: str = Field(min_length=1)
    note: str = Field(min_length=1)
    bits: list[int] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    protocols: list[Literal["seen", "unseen"]] = Field(min_length=1)
    papers: PapersData | None = None
    rows: list[RowConfig] = Field(min_length=1)

    @field_validator("bits")
    @classmethod
    def _lengths_of_codes(cls, bits: list[int]) -> list[int]:
        if not all(1 <= value <= 1024 for value in bits):
            raise ValueError(f"code lengths are 1 to 1024, got {bits}")
        return bits

    @model_validator(mode="after")
    def _rows_fit_together(self) -> TableConfig:
        names = [row.id for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"two rows have the same id among {', '.join(names)}")
        networks = {row.id: row for row in self.rows if row.config}
        for row in self.rows:
            if row.of is None:
                continue
            if row.of not in networks:
                raise ValueError(
                    f"row {row.id}: of {row.of!r} is no row with a config"
                    f"{did_you_mean(row.of, networks)}"
                )
            trained = networks[row.of].protocols or self.protocols
            if set(row.protocols or trained) - set(trained):
                raise ValueError(
                    f"row {row.id}: {row.of} is not trained for every protocol it asks"
                )
            lengths = networks[row.of].bits or self.bits
            if row.baseline == "classifier" and set(row.bits or lengths) - set(lengths):
                raise ValueError(f"row {row.id}: {row.of} is not trained at every length it asks")
            if row.baseline == "classifier" and (row.protocols or trained) != ["seen"]:
                raise ValueError(
                    f"row {row.id}: a classifier knows no strangers; set protocols: [seen]"
                )
        return self


@dataclass(frozen=True)
class Cell:
    """One number of the grid: a network trained, or a baseline computed, and scored.

    Attributes:
        table: Stem of the table's file.
        row: Which method.
        bits: Code length; None of float vectors.
        protocol: ``seen`` or ``unseen``.
        seed: Of the run.
        network: Of a baseline: the cell whose network it uses.
    """

    table: str
    row: RowConfig
    bits: int | None
    protocol: Literal["seen", "unseen"]
    seed: int
    network: Cell | None = None

    @property
    def name(self) -> str:
        """Name of its run directory: row, bits, protocol and seed."""
        return f"{self.row.id}-{self.bits or 'float'}-{self.protocol}-s{self.seed}"

    @property
    def report_name(self) -> str:
        """Name of its committed report."""
        return f"{self.table}-{self.name}.json"


@dataclass(frozen=True)
class Grid:
    """A table as it is declared.

    Attributes:
        path: Its YAML file.
        config: What the file says.
        cells: Every cell; a baseline comes after the network it uses.
    """

    path: Path
    config: TableConfig
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Stem of the file: ``pubfig83``."""
        return self.path.stem

    def settings(self, cell: Cell) -> RunConfig[Any]:
        """Return the configuration of the network behind a cell.

        Raises:
            ConfigError: The row's YAML file or one of its overrides cannot be used.
        """
        trained = cell.network or cell
        row = trained.row
        own = [
            f"bits={trained.bits}",
            f"seed={trained.seed}",
            f"dataset.protocol={trained.protocol}",
        ]
        path = self.path.parent / str(row.config)
        return load_config(path, methods.options_class, [*row.set, *own])


def load_grid(path: Path) -> Grid:
    """Read a table's YAML file and lay out its cells.

    Args:
        path: A file of experiments/tables/, or one of your own.

    Raises:
        GridError: No such file, an unknown key or wrong value, rows that do not fit together, or
            rows that read different data.
        ConfigError: A row's own configuration cannot be used.
    """
    if not path.is_file():
        known = [other.stem for other in TABLES.glob("*.yaml")]
        raise GridError(f"{path}: no such table{did_you_mean(path.stem, known)}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise GridError(f"{path}: not UTF-8 text") from error
    tree = parse_yaml(text, str(path))
    try:
        config = TableConfig.model_validate(tree)
    except ValidationError as error:
        raise GridError(f"{path}: {'; '.join(map(_describe, error.errors()))}") from error
    grid = Grid(path, config, tuple(_cells(path.stem, config)))
    _check_same_data(grid)
    return grid


def _cells(table: str, config: TableConfig) -> Iterator[Cell]:
    networks = {row.id: row for row in config.rows if row.config}
    for row in config.rows:
        trained = networks[row.of] if row.of else row
        lengths: Sequence[int | None] = row.bits or trained.bits or config.bits
        if row.baseline == "cosine":
            lengths = [None]
        for seed in trained.seeds or config.seeds:
            for protocol in row.protocols or trained.protocols or config.protocols:
                for bits in lengths:
                    network = None
                    if row.of:
                        # One backbone for all lengths, so that only the hashing differs; but the
                        # classifier code stands beside the very network whose codes it explains.
                        longest = max(trained.bits or config.bits)
                        own = bits if row.baseline == "classifier" else longest
                        network = Cell(table, trained, own, protocol, seed)
                    yield Cell(table, row, bits, protocol, seed, network)


def _check_same_data(grid: Grid) -> None:
    """Refuse rows of one table that do not read the same images in the same roles."""
    first: tuple[str, Any] | None = None
    for row in grid.config.rows:
        cell = next(cell for cell in grid.cells if cell.row is row)
        try:
            settings = grid.settings(cell)
        except ConfigError as error:
            raise ConfigError(f"{grid.path}: row {row.id}: {error}") from error
        data = settings.dataset.model_dump(exclude={"protocol", "path"})
        if first is None:
            first = (row.id, data)
        differing = sorted(key for key in data if data[key] != first[1][key])
        if differing:
            key = differing[0]
            raise GridError(
                f"{grid.path}: rows {first[0]} and {row.id} read different data: dataset.{key} "
                f"is {first[1][key]!r} and {data[key]!r}"
            )


def _describe(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        fields = RowConfig.model_fields if "rows" in problem["loc"] else TableConfig.model_fields
        return f"unknown key {where!r}{did_you_mean(str(problem['loc'][-1]), fields)}"
    if problem["type"] == "missing":
        return f"missing key {where!r}"
    return f"{where + ': ' if where else ''}{message[0].lower()}{message[1:]}"
