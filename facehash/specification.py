"""Names of detectors and embedders with options: ``keras:FILE,size=160,metric=cosine``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from facehash.errors import InputError, did_you_mean

_OPTION = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def split_specification(text: str) -> tuple[str, dict[str, str]]:
    """Split ``head,key=value,key=value`` at its commas.

    Args:
        text: A head and options. The options are the last parts of the form ``key=value``; earlier
            commas, for example in a file name, belong to the head.

    Returns:
        The head and the options, unconverted.

    Raises:
        InputError: An option is given twice.
    """
    parts = text.split(",")
    options: dict[str, str] = {}
    while len(parts) > 1 and (match := _OPTION.fullmatch(parts[-1])):
        key, value = match.groups()
        if key in options:
            raise InputError(f"{text!r}: the option {key!r} is given twice")
        options[key] = value
        parts.pop()
    return ",".join(parts), dict(reversed(options.items()))


def convert_options(
    text: str, options: Mapping[str, str], known: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    """Convert the values of options.

    Args:
        text: The whole specification, for error messages.
        options: From `split_specification`.
        known: A converter per option; raises ValueError naming the allowed values.

    Raises:
        InputError: An unknown option, or a value that its converter refuses.
    """
    values = {}
    for key, value in options.items():
        if key not in known:
            allowed = did_you_mean(key, known) or " (it takes none)"
            raise InputError(f"{text!r}: unknown option {key!r}{allowed}")
        try:
            values[key] = known[key](value)
        except ValueError as error:
            raise InputError(f"{text!r}: {key}={value}: {error}") from error
    return values


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a converter that accepts only `choices`."""

    def convert(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return convert


def number(value: str) -> float:
    """Convert a decimal number."""
    try:
        return float(value)
    except ValueError:
        raise ValueError("must be a number") from None


def whole_number(value: str) -> int:
    """Convert a whole number above 0."""
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ValueError("must be a whole number above 0")
    return int(value)
