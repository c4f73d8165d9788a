"""Files of MATLAB 5 to 7.2, read in Python: arrays of numbers, text, and cells of text.

SciPy's reader of them follows the lengths and types in a file without looking: one wrong byte can
end the process. Here each is held against the bytes that are there. Nothing else that MATLAB stores
is read: structures, objects, functions and sparse matrices.

The format is that of "MAT-File Format", The MathWorks: a head of 128 bytes, then elements, each of
a type, a length, and bytes padded to a multiple of 8.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEAD = 128

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODECS = {
    1: "latin-1", 2: "latin-1", 16: "utf-8",
    4: "utf-16", 17: "utf-16", 18: "utf-32",
}  # fmt: skip
_WIDE = ("utf-16", "utf-32")
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_CELL, _CHAR, _DOUBLE, _UINT64 = 1, 4, 6, 15
_COMPLEX = 0x800
# Enough of a compressed element for its name, which has at most 63 characters.
_START = 1 << 12


class Variable(NamedTuple):
    """An array in a file, not yet read; `bytes` are an element, compressed or not."""

    bytes: memoryview
    order: str

    def read(self) -> NDArray[Any] | list[str] | None:
        """Read it.

        Returns:
            Numbers of the type in which they are stored; rows of text; a list of the text in the
            cells; None for what is no array of numbers or text.

        Raises:
            ValueError: It is damaged.
        """
        [(kind, content)] = _elements(_inflated(self.bytes, self.order), self.order)
        return _Matrix.of(content, self.order).read()


class _Matrix(NamedTuple):
    kind: int
    complex: bool
    shape: tuple[int, ...]
    name: str
    parts: Iterator[tuple[int, memoryview]]
    order: str

    @classmethod
    def of(cls, content: memoryview, order: str) -> _Matrix:
        """Read what comes before the content of an array."""
        parts = _elements(content, order)
        (flags,) = _integers(_first(parts), (_UINT32,), order)[:1]
        # Some tools write lengths without a sign.
        shape = tuple(_integers(_first(parts), (_INT32, _UINT32), order))
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"an array of shape {shape[:9]}")
        kind, name = _first(parts)
        if kind not in (_INT8, 16):
            raise ValueError(f"a name of type {kind}")
        text = bytes(name).decode("latin-1" if kind == _INT8 else "utf-8", "replace")
        return cls(flags & 0xFF, bool(flags & _COMPLEX), shape, text, parts, order)

    def read(self) -> NDArray[Any] | list[str] | None:
        if self.kind == _CHAR:
            return self._text()
        if self.kind == _CELL:
            return self._cells()
        if not _DOUBLE <= self.kind <= _UINT64:
            return None
        values = self._numbers()
        return _complex(values, self._numbers()) if self.complex else values

    def _numbers(self) -> NDArray[Any]:
        kind, content = _first(self.parts)
        if kind not in _NUMBERS:
            raise ValueError(f"numbers of type {kind}")
        stored = np.dtype(self.order + _NUMBERS[kind])
        if math.prod(self.shape) * stored.itemsize != len(content):
            raise ValueError(f"an array of shape {self.shape[:9]} and {len(content)} bytes")
        values = np.frombuffer(content, stored).reshape(self.shape, order="F")
        return np.array(values, stored.newbyteorder("="))

    def _text(self) -> NDArray[np.str_]:
        kind, content = _first(self.parts)
        if kind not in _CODECS:
            raise ValueError(f"text of type {kind}")
        order = {"<": "-le", ">": "-be"}[self.order] if _CODECS[kind] in _WIDE else ""
        text = bytes(content).decode(_CODECS[kind] + order, "replace")
        if not 0 < math.prod(self.shape) or self.shape[0] == math.prod(self.shape[:-1]) == 1:
            return np.array([text] if text else [], np.str_)
        if len(text) != math.prod(self.shape):
            raise ValueError(f"text of shape {self.shape[:9]} and {len(text)} characters")
        letters = np.array(list(text)).reshape(self.shape, order="F")
        rows = letters.reshape(-1, self.shape[-1])
        return np.array(["".join(row) for row in rows]).reshape(self.shape[:-1])

    def _cells(self) -> list[str] | None:
        found = []
        for _ in range(math.prod(self.shape)):
            kind, content = _first(self.parts)
            if kind != _MATRIX:
                raise ValueError(f"a cell of type {kind}")
            if not len(content):
                found.append("")
                continue
            cell = _Matrix.of(content, self.order)
            value = cell.read() if cell.kind == _CHAR or 0 in cell.shape else None
            if not isinstance(value, np.ndarray) or value.size > 1:
                return None
            found.append("".join(value.ravel().tolist()))
        return found


def variables(content: memoryview) -> dict[str, Variable]:
    """List the arrays in a file.

    Args:
        content: The whole file, which may be mapped into memory.

    Raises:
        ValueError: It is damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:HEAD]))
    if order is None:
        raise ValueError("not a file of MATLAB 5 to 7.2")
    found = {}
    at = HEAD
    while at < len(content):
        length = 8 + _tag(content[at:], order)[1]
        element = content[at : at + length]
        if len(element) < length:
            raise ValueError("the file ends within an array")
        at += length
        [(_, start)] = _elements(_inflated(element, order, _START), order, cut=True)
        name = _Matrix.of(start, order).name
        if name:  # what belongs to functions has none
            found[name] = Variable(element, order)
    return found


def is_matlab_5(head: bytes) -> bool:
    """Say whether a file that begins so is of MATLAB 5 to 7.2, not 4 or 7.3."""
    if len(head) < HEAD or 0 in head[:4]:
        return False
    return head[124:HEAD] in (b"\x00\x01IM", b"\x01\x00MI")


def _tag(content: memoryview, order: str) -> tuple[int, int]:
    if len(content) < 8:
        raise ValueError("the file ends within an array")
    kind, length = struct.unpack(f"{order}II", content[:8])
    return kind, length


def _elements(
    content: memoryview, order: str, cut: bool = False
) -> Iterator[tuple[int, memoryview]]:
    """Yield types and bytes of elements one after the other; the last may be short if `cut`."""
    while len(content):
        kind, length = _tag(content, order)
        if kind >> 16:  # up to four bytes within the tag
            kind, length, start, end = kind & 0xFFFF, kind >> 16, 4, 8
            if length > 4:
                raise ValueError(f"a short element of {length} bytes")
        else:
            start, end = 8, 8 + length + (-length % 8)
        element = content[start : start + length]
        if len(element) < length and not cut:
            raise ValueError("the file ends within an array")
        yield kind, element
        content = content[end:]


def _inflated(element: memoryview, order: str, most: int | None = None) -> memoryview:
    """Return an element uncompressed, or as it is; only its first bytes where `most` says so."""
    kind, length = _tag(element, order)
    if kind == _MATRIX:
        return element
    if kind != _COMPRESSED:
        raise ValueError(f"an element of type {kind}")
    stream = zlib.decompressobj()
    start = stream.decompress(element[8:], 8)
    whole = 8 + _tag(memoryview(start), order)[1]
    wanted = whole if most is None else min(whole, most)
    content = start + stream.decompress(stream.unconsumed_tail, max(1, wanted - len(start)))
    if most is None:
        # One byte more, for the sum at the end to be compared.
        more = stream.decompress(stream.unconsumed_tail, 1)
        if len(content) != whole or more or not stream.eof:
            raise ValueError(f"a compressed array of another length than {whole} bytes, or cut off")
    return memoryview(content)


def _first(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    for part in parts:
        return part
    raise ValueError("an array ends too early")


def _complex(real: NDArray[Any], imaginary: NDArray[Any]) -> NDArray[Any]:
    """Put numbers together; a sum would make NaN of an infinite part, for 1j * inf has one."""
    together = np.empty(real.shape, np.result_type(real, imaginary, 1j))
    together.real, together.imag = real, imaginary
    return together


def _integers(element: tuple[int, memoryview], kinds: tuple[int, ...], order: str) -> list[int]:
    kind, content = element
    if kind not in kinds or len(content) % 4 or not len(content):
        raise ValueError(f"an element of type {kind} in the place of {kinds[0]}")
    return [int(one) for one in np.frombuffer(content, order + _NUMBERS[kind])]
