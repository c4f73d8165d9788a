"""Damage in HDF5 files that the HDF5 library reads for ever, or with all the memory there is.

Text of any length lies in *global heap collections* (HDF5 File Format Specification, III.E): a
header of 16 bytes that begins with GCOL, and objects one after another. Object 0 is what is free,
its size that of itself; where damage makes it 0, HDF5 1.14 waits for the end of the collection and
never comes nearer. What names a text in a heap (ibid.) begins with its length in 4 bytes, for which
HDF5 sets memory aside before it looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

import h5py
import numpy as np

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


def check_texts(entry: h5py.Dataset, content: mmap | bytes) -> None:
    """Refuse texts of any length of which one claims to be longer than the file.

    Where the names of texts are compressed, they are not looked at.

    Args:
        entry: Texts of any length.
        content: The file's.

    Raises:
        ValueError: There is such a text.
    """
    size = entry.id.get_type().get_size()
    for block in _blocks(entry, content):
        names = np.frombuffer(block[: len(block) // size * size], np.uint8).reshape(-1, size)
        lengths = np.ascontiguousarray(names[:, :4]).view("<u4")
        if lengths.max(initial=0) > len(content):
            raise ValueError("a text that is longer than the file")


def _blocks(entry: h5py.Dataset, content: mmap | bytes) -> Iterator[bytes]:
    """Yield a dataset's bytes as they lie in the file, where they do so as they are."""
    stored = entry.id
    start = stored.get_offset()
    if start is not None:
        yield content[start : start + stored.get_storage_size()]
    elif entry.chunks and not stored.get_create_plist().get_nfilters():
        for number in range(stored.get_num_chunks()):
            chunk = stored.get_chunk_info(number)
            yield content[chunk.byte_offset : chunk.byte_offset + chunk.size]
