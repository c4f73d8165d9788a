"""Numbers published by others, each with its source and how it was obtained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from facehash.config import Strict, describe_errors
from facehash.errors import InputError
from facehash.strict_yaml import parse_yaml

_Bits = Annotated[str, Field(pattern="^[1-9][0-9]*$")]

PATH = Path(__file__).resolve().parents[1] / "published.yaml"


class PublishedError(InputError):
    """A published number without its source, or otherwise invalid."""


class Source(Strict):
    """Where a number was published."""

    work: str = Field(min_length=1)  # authors, title or repository, year or commit
    place: str = Field(min_length=1)  # table or figure
    page: str = Field(min_length=1)  # a remark where the source has no pages
    how: str = Field(min_length=1)  # how the number was obtained, and how accurately


class Number(Strict):
    """One value at one code length, exact to plus or minus `within`."""

    value: float = Field(ge=0, le=1)
    within: float | None = Field(ge=0, le=1)  # None if unknown
    note: str | None = None  # such as "partly hidden"


class Entry(Strict):
    """The numbers of one method on one data set for one metric."""

    method: str = Field(min_length=1)  # name in the source
    row: str | None  # the comparable row of our tables, if there is one
    dataset: str = Field(min_length=1)  # name in our reports
    protocol: Literal["seen", "unseen"]
    metric: Literal["mAP", "P@r2", "R@r2", "P@50", "R-precision"]
    distance: Literal["hamming", "authors"]  # authors: with the published evaluator's packing
    source: str  # a key of `Published.sources`
    bits: dict[_Bits, Number] = Field(min_length=1)  # by code length

    @property
    def place(self) -> tuple[str | None, str, str, str, str]:
        """Return its place in our tables: row, data set, protocol, metric, distance."""
        return self.row, self.dataset, self.protocol, self.metric, self.distance


class Published(Strict):
    """The content of published.yaml."""

    sources: dict[str, Source]
    entries: list[Entry]

    @model_validator(mode="after")
    def _every_number_has_a_source(self) -> Published:
        for entry in self.entries:
            if entry.source not in self.sources:
                raise ValueError(
                    f"{entry.method} on {entry.dataset}: source {entry.source!r} is missing under "
                    "sources; every number needs a source"
                )
        places = [entry.place for entry in self.entries if entry.row is not None]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"two entries for the same column: {', '.join(map(str, place))}")
        return self

    def beside(self, summary: dict[str, Any], protocol: str) -> list[Entry]:
        """Return the entries for the rows, the data and a protocol of a table.

        They are comparable with the table only where `why_none` returns None.
        """
        ours = {
            (row["row"], row["dataset"]["name"])
            for row in summary["rows"]
            if row["protocol"] == protocol
        }
        return [
            entry
            for entry in self.entries
            if entry.protocol == protocol and (entry.row, entry.dataset) in ours
        ]

    def why_none(self, summary: dict[str, Any], protocol: str) -> str | None:
        """Explain why a table shows no published numbers; None if it shows some."""
        rows = [row for row in summary["rows"] if row["protocol"] == protocol]
        if not rows:
            return "no results for this protocol"
        name = rows[0]["dataset"]["name"]
        entries = [entry for entry in self.entries if entry.dataset == name]
        if not entries:
            return f"published.yaml has no numbers for {name}"
        if all(entry.protocol != protocol for entry in entries):
            return f"published.yaml has no numbers for {name} with the protocol {protocol}"
        if not self.beside(summary, protocol):
            return f"published.yaml has numbers for {name} only of methods without a row here"
        papers = summary["papers"]
        ours = {key: rows[0]["dataset"][key] for key in ("gallery", "query")}
        if papers is None:
            return "the table does not state the size of the papers' data (key papers)"
        if papers != ours:
            return (
                f"our data differ from the papers' data ({ours['gallery']:,} gallery and "
                f"{ours['query']:,} query images instead of "
                f"{papers['gallery']:,} and {papers['query']:,})"
            )
        return None


def load_published(path: Path = PATH) -> Published:
    """Read published numbers.

    Raises:
        PublishedError: No such file, an unknown or missing key, or a number without a source.
    """
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise PublishedError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return Published.model_validate(tree)
    except ValidationError as error:
        raise PublishedError(f"{path}: {describe_errors(error, Published)}") from error
