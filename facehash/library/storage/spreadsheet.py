"""Text in tables that people open in a spreadsheet, which evaluates what looks like a formula."""

# Spreadsheets in Chinese, Japanese or Korean also take the full-width signs for a formula.
_FORMULA = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
_CONTROL = ("\t", "\r", "\n")


def plain(text: str) -> str:
    """Return text, after an apostrophe if a spreadsheet would evaluate it as a formula.

    Example:
        >>> plain("=1+1"), plain("Ann")
        ("'=1+1", 'Ann')
    """
    return f"'{text}" if _is_formula(text) else text


def unplain(cell: str) -> str:
    """Return the text of a cell that `plain` made.

    Example:
        >>> unplain("'=1+1"), unplain("'t Hooft")
        ('=1+1', "'t Hooft")
    """
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    # Text that begins like an escaped formula is escaped too, so that reading it is unambiguous.
    rest = text.lstrip("'")
    return rest.lstrip()[:1] in _FORMULA or rest[:1] in _CONTROL
