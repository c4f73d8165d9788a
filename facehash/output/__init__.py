"""Files that a user names: checked before the work, and written without destroying anything else.

`check_output` refuses a name before the long work begins, `replace_output` writes the file. Both
know that ``-`` is standard output, that pipes and devices are written to, and that a symbolic link
stays while its target is replaced.
"""

from facehash.output.check import check_output, descriptor_of, writes_to_stdout
from facehash.output.formats import (
    HTML,
    PNG,
    PNG_TEXT,
    Format,
    csv_format,
    hdf5_format,
    json_format,
)
from facehash.output.write import replace_output

__all__ = [
    "HTML",
    "PNG",
    "PNG_TEXT",
    "Format",
    "check_output",
    "csv_format",
    "descriptor_of",
    "hdf5_format",
    "json_format",
    "replace_output",
    "writes_to_stdout",
]
