"""Result files: JSON with one line per top-level key, so that a diff shows what changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import write_text

SCHEMA = 1
"""Of the summaries of tables."""

READABLE = (1, 2)
"""Schemas of reports and summaries: `experiments.run.score.SCHEMA` and earlier ones."""


class ResultError(InputError):
    """A result file that cannot be used: which file, why, and what to do."""


def write_result(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result file atomically; `content` has the key ``"schema"``.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    lines = [f" {json.dumps(key)}: {compact(value)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_result(path: Path) -> dict[str, Any]:
    """Read a result file.

    Raises:
        ResultError: Not JSON, or another schema.
    """
    remedy = "delete it to have it computed again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: not a readable result file ({error}); {remedy}") from error
    if not isinstance(content, dict) or content.get("schema") not in READABLE:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ResultError(
            f"{path}: results of schema {found!r}, this version reads "
            f"{' and '.join(map(str, READABLE))}; {remedy}"
        )
    content.pop("checksum", None)  # written by version 0.1
    return content
