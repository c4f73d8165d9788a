"""Numbers that others published, each with where it stands and how it was obtained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from facehash.config import Strict, describe_errors
from facehash.errors import InputError
from facehash.strict_yaml import parse_yaml

PATH = Path(__file__).resolve().parents[1] / "published.yaml"


class PublishedError(InputError):
    """A published number without its source, or with something else amiss."""


class Source(Strict):
    """Where a number stands.

    Attributes:
        work: Authors, title or repository, year or commit: enough to find it.
        place: Table or figure.
        page: Page, or what stands for one where the source has no pages.
        how: How the number was obtained from there, and how exactly.
    """

    work: str = Field(min_length=1)
    place: str = Field(min_length=1)
    page: str = Field(min_length=1)
    how: str = Field(min_length=1)


class Number(Strict):
    """One value at one code length.

    Attributes:
        value: 0 to 1.
        within: Half the width of the interval in which it lies; None where that is not known.
        note: What else must be known, such as a marker that is partly hidden.
    """

    value: float = Field(ge=0, le=1)
    within: float | None = Field(ge=0, le=1)
    note: str | None = None


class Entry(Strict):
    """The numbers of one method on one data set under one metric.

    Attributes:
        method: As the source calls it.
        row: The row of our tables that it may stand beside; None where we have none.
        dataset: As our reports call it.
        protocol: ``seen`` or ``unseen``.
        metric: A key of our reports.
        distance: ``hamming``, or ``authors`` where the published evaluator's packing was used.
        source: A key of ``sources``.
        bits: Number by code length.
    """

    method: str = Field(min_length=1)
    row: str | None
    dataset: str = Field(min_length=1)
    protocol: Literal["seen", "unseen"]
    metric: Literal["mAP", "P@r2", "R@r2", "P@50", "R-precision"]
    distance: Literal["hamming", "authors"]
    source: str
    bits: dict[str, Number] = Field(min_length=1)

    @model_validator(mode="after")
    def _lengths(self) -> Entry:
        for bits in self.bits:
            if not re.fullmatch("[1-9][0-9]*", bits):
                raise ValueError(f"{self.method}: bits must be code lengths, got {bits!r}")
        return self

    @property
    def place(self) -> tuple[str | None, str, str, str, str]:
        """Where it stands in our tables: row, data set, protocol, metric, distance."""
        return self.row, self.dataset, self.protocol, self.metric, self.distance


class Published(Strict):
    """The whole file.

    Attributes:
        sources: By a short name.
        entries: The numbers.
    """

    sources: dict[str, Source]
    entries: list[Entry]

    @model_validator(mode="after")
    def _every_number_has_a_source(self) -> Published:
        for entry in self.entries:
            if entry.source not in self.sources:
                raise ValueError(
                    f"{entry.method} on {entry.dataset}: source {entry.source!r} is not described "
                    "under sources; a number without a source is not taken"
                )
        places = [entry.place for entry in self.entries if entry.row is not None]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(
                    f"two entries would stand in one column: {', '.join(map(str, place))}"
                )
        return self

    def beside(self, summary: dict[str, Any], protocol: str) -> list[Entry]:
        """Return the entries for rows that a table has, on its data and under a protocol.

        Whether they may be shown is for `why_none` to say.

        Args:
            summary: From `experiments.table.summary.summarize`.
            protocol: ``seen`` or ``unseen``.
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
        """Say why a table has no published numbers beside it; None where it has some.

        Args:
            summary: From `experiments.table.summary.summarize`.
            protocol: ``seen`` or ``unseen``.
        """
        rows = [row for row in summary["rows"] if row["protocol"] == protocol]
        if not rows:
            return "nothing was measured under this protocol"
        name = rows[0]["dataset"]["name"]
        entries = [entry for entry in self.entries if entry.dataset == name]
        if not entries:
            return f"published.yaml holds no number for {name}"
        if all(entry.protocol != protocol for entry in entries):
            return f"nothing is published for {name} under the protocol {protocol}"
        if not self.beside(summary, protocol):
            return f"what published.yaml holds for {name} is of methods that have no row here"
        papers = summary["papers"]
        ours = {key: rows[0]["dataset"][key] for key in ("gallery", "query")}
        if papers is None:
            return "the table does not say how many images the papers have (key papers)"
        if papers != ours:
            return (
                f"our data differ from the papers': {ours['gallery']:,} gallery and "
                f"{ours['query']:,} query images, "
                f"theirs {papers['gallery']:,} and {papers['query']:,}"
            )
        return None


def load_published(path: Path = PATH) -> Published:
    """Read published numbers.

    Raises:
        PublishedError: No such file, an unknown or missing key, or a number without its source.
    """
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise PublishedError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return Published.model_validate(tree)
    except ValidationError as error:
        raise PublishedError(f"{path}: {describe_errors(error, Published)}") from error
