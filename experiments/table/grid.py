"""The cells of a table: methods, code lengths, protocols and seeds, from one YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from experiments.table.config import GridError, RowConfig, TableConfig
from facehash import methods
from facehash.config import ConfigError, RunConfig, describe_errors, load_config
from facehash.errors import did_you_mean
from facehash.strict_yaml import parse_yaml

TABLES = Path(__file__).resolve().parents[1] / "tables"


@dataclass(frozen=True)
class Cell:
    """A network to train and score, or a baseline to compute and score."""

    table: str  # stem of the table's file
    row: RowConfig
    bits: int | None  # None for float vectors
    protocol: Literal["seen", "unseen"]
    seed: int
    network: Cell | None = None  # for a baseline: the cell whose network it uses

    @property
    def name(self) -> str:
        """Name of the run directory: row, bits, protocol and seed."""
        return f"{self.row.id}-{self.bits or 'float'}-{self.protocol}-s{self.seed}"

    @property
    def report_name(self) -> str:
        """File name of the report."""
        return f"{self.table}-{self.name}.json"


@dataclass(frozen=True)
class Grid:
    """A table: its YAML file, the file's content, and the cells in the order of the file."""

    path: Path
    config: TableConfig
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Stem of the file, such as ``pubfig83``."""
        return self.path.stem

    def settings(self, cell: Cell) -> RunConfig[Any]:
        """Return the configuration of the network behind a cell.

        Raises:
            ConfigError: The row's YAML file or one of its overrides is invalid.
        """
        cell = cell.network or cell
        own = [f"bits={cell.bits}", f"seed={cell.seed}", f"dataset.protocol={cell.protocol}"]
        path = self.path.parent / str(cell.row.config)
        return load_config(path, methods.options_class, [*cell.row.set, *own])


def read_table(path: Path) -> dict[str, Any]:
    """Read a table's YAML file without checking its keys.

    Raises:
        GridError: No such file, or it has no keys.
    """
    if not path.is_file():
        known = [other.stem for other in TABLES.glob("*.yaml")]
        raise GridError(f"{path}: no such table{did_you_mean(path.stem, known)}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise GridError(f"{path}: cannot be read: {reason}") from error
    tree = parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise GridError(f"{path}: a table must be a mapping, got {type(tree).__name__}")
    return tree


def load_grid(path: Path) -> Grid:
    """Read a table's YAML file and list its cells.

    Raises:
        GridError: No such file, an unknown key, a wrong value, inconsistent rows, or rows that read
            different data.
        ConfigError: The configuration of a row is invalid.
    """
    tree = read_table(path)
    try:
        config = TableConfig.model_validate(tree)
    except ValidationError as error:
        raise GridError(f"{path}: {describe_errors(error, TableConfig)}") from error
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
                        # Hashed features use one network for all lengths, so that only the hashing
                        # differs. The classifier code explains the codes of its own network.
                        longest = max(trained.bits or config.bits)
                        own = bits if row.baseline == "classifier" else longest
                        network = Cell(table, trained, own, protocol, seed)
                    yield Cell(table, row, bits, protocol, seed, network)


def _check_same_data(grid: Grid) -> None:
    """Require that all rows read the same images in the same roles."""
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
