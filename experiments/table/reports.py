"""Committed result files: compact JSON with a checksum, so that an edit by hand does not pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import write_text

SCHEMA = 1


class ResultError(InputError):
    """A result file that cannot be believed: which, why, and what to do."""


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result file, whole or not at all: one line a top-level key, and a checksum.

    Args:
        path: Replaced when it exists.
        content: Plain values, with ``"schema"``; NaN is refused.
    """
    sealed = {**content, "checksum": checksum(content)}
    lines = [f" {json.dumps(key)}: {_compact(value)}" for key, value in sealed.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a result file and check that it is as it was written.

    Raises:
        ResultError: No JSON, another schema, no checksum, or one that does not fit.
    """
    remedy = "delete it to have it made again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: not a readable result file ({error}); {remedy}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ResultError(
            f"{path}: results of schema {found!r}, this version reads {SCHEMA}; {remedy}"
        )
    stored = content.pop("checksum", None)
    try:
        fits = stored == checksum(content)
    except ValueError:  # values that we never write: NaN, infinity, half a surrogate pair
        fits = False
    if not fits:
        raise ResultError(
            f"{path}: changed since it was written (its checksum does not fit); {remedy}"
        )
    return content


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain values, independent of layout and of the order of keys."""
    return hashlib.sha256(_compact(content, sort_keys=True).encode()).hexdigest()


def _compact(value: Any, sort_keys: bool = False) -> str:
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":")
    )
