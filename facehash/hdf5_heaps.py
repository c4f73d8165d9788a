"""Damage in HDF5 files that the HDF5 library reads for ever.

Text of any length lies in *global heap collections* (HDF5 File Format Specification, III.E): a
header of 16 bytes that begins with GCOL, and objects one after another. Object 0 is what is free,
its size that of itself; where damage makes it 0, HDF5 1.14 waits for the end of the collection and
never comes nearer.
"""

from __future__ import annotations

from mmap import mmap

_BEGIN = b"GCOL\x01"
_HEADER = 16
"""Bytes of a collection's header and of an object's, for lengths of 2, 4 and 8 bytes alike."""


def check_heaps(content: mmap | bytes, width: int) -> None:
    """Refuse a file with a heap of which HDF5 would find no end.

    Args:
        content: The file's.
        width: Bytes of a length in it, as its superblock says.

    Raises:
        ValueError: There is such a heap, or one within another.
    """
    # Heaps do not overlap, so their objects are few; where they do, somebody means it.
    left = len(content) // _HEADER
    start = content.find(_BEGIN)
    while start >= 0:
        length = int.from_bytes(content[start + 8 : start + 8 + width], "little")
        end = min(start + length, len(content))
        at = start + _HEADER
        while at + _HEADER <= end:
            index = int.from_bytes(content[at : at + 2], "little")
            size = int.from_bytes(content[at + 8 : at + 8 + width], "little")
            left -= 1
            if left < 0 or index == size == 0:
                raise ValueError("a damaged heap of texts")
            at += size if index == 0 else _HEADER + (size + 7) // 8 * 8
        start = content.find(_BEGIN, start + 1)
