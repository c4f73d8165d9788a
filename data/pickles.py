"""Reading pickled arrays without giving the file any power.

A pickle is a program. This reader runs only the few instructions that NumPy arrays, numbers, lists
and tuples are made of, and every name such a program may call is a stand-in written here: no
function or class that a file names is ever looked up, and no array is larger than the bytes that
the file itself holds for it.
"""

from __future__ import annotations

import math
import os
import pickle  # noqa: S403  (only its interpreter loop is used, narrowed below)
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError

_MAX_AXES = 64  # of a NumPy array
_SHOWN = 120  # characters of a file's own words in an error message


class PickleError(InputError):
    """A pickle that is damaged, or that asks for more than arrays, numbers, lists and tuples."""


def load_pickle(path: Path) -> Any:
    """Read a pickle written by Python 2 or 3, protocols 0 to 4, as plain arrays and numbers.

    Args:
        path: The file.

    Returns:
        Its content: `numpy.ndarray` (read-only), numbers, text (Python 2's ``str`` as bytes), None,
        and lists and tuples of these.

    Raises:
        PickleError: A global other than NumPy's array reconstruction (named), an instruction
            outside the permitted ones, an array of objects, or a truncated or damaged file.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            return _plain(_ArrayUnpickler(_WholeReads(file)).load(), {})
        except PickleError as error:
            raise PickleError(f"{path}: {error}") from error
        except EOFError as error:
            raise PickleError(f"{path}: truncated pickle: {error}") from error
        # A damaged program fails in whatever instruction the damage leads it to.
        except Exception as error:
            raise PickleError(f"{path}: not a pickle, or damaged: {_short(repr(error))}") from error


class _WholeReads:
    """A file that gives all the bytes asked for or fails, and never sets aside more than it has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise EOFError(f"{size} bytes are announced where {self._left} are left")
        self._left -= size
        return self._file.read(size)

    def readline(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the file ends within a line")
        self._left -= len(line)
        return line


class _Dtype:
    """Stands in for `numpy.dtype`: a number type by its code and byte order."""

    def __init__(self, code: bytes | str, align: Any = False, copy: Any = True) -> None:
        text = _text(code)
        if "O" in text:
            raise PickleError("an array of Python objects; only arrays of numbers are read")
        found = re.fullmatch(r"([<>=|]?)(b1|[iu][1248]|f[248])", text)
        if not found:
            shown = _short(repr(text))
            raise PickleError(f"an array of type {shown}; only arrays of numbers are read")
        self._order, self._code = found.groups()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, order, *structure = state
        if any(part is not None for part in structure[:3]):
            raise PickleError("an array of records; only arrays of numbers are read")
        self._order = _text(order)
        if self._order not in ("<", ">", "=", "|"):
            raise PickleError(f"an array of byte order {_short(repr(self._order))}")

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._code)


class _Array:
    """Stands in for `numpy.ndarray`: empty until the pickle hands its state over."""

    value: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise PickleError("an array whose content is not plain bytes of numbers")
        number = dtype.dtype()
        # Asked before the shape is shown: a list can name itself so often that its text has no end.
        if (
            type(shape) is not tuple
            or len(shape) > _MAX_AXES
            or any(type(length) is not int or not 0 <= length < 2**63 for length in shape)
        ):
            raise PickleError(f"an array whose shape is no tuple of at most {_MAX_AXES} lengths")
        announced = math.prod(shape) * number.itemsize
        if announced != len(data):
            raise PickleError(
                f"an array of shape {_short(repr(shape))} and type {number} needs {announced} "
                f"bytes, {len(data)} are there"
            )
        # A view on the bytes read: the array takes no further memory.
        flat = np.frombuffer(data, dtype=number)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Function:
    """A permitted call. An object without attributes, so that no pickle can alter it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise PickleError("an attempt to alter a function")


class _Reconstruct(_Function):
    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if kind is not _Array:
            raise PickleError("an array of a class other than numpy.ndarray")
        return _Array()


class _Scalar(_Function):
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any) -> Any:
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise PickleError("a number whose content is not plain bytes")
        (value,) = np.frombuffer(data, dtype=dtype.dtype())
        return value.item()


class _Encode(_Function):
    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        # Python 3 writes bytes for protocols 0 to 2 as latin-1 text to be encoded.
        if type(text) is not str:
            raise PickleError(f"_codecs.encode of a {type(text).__name__}; only text is permitted")
        name = _text(encoding)
        if name not in ("latin1", "latin-1"):
            raise PickleError(
                f"_codecs.encode with encoding {_short(repr(name))}; only latin1 is permitted"
            )
        return text.encode("latin1")


_PERMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.multiarray", "scalar"): _Scalar(),
    ("numpy._core.multiarray", "scalar"): _Scalar(),
    ("_codecs", "encode"): _Encode(),
}

_INSTRUCTIONS = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE "
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES BINBYTES8 "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS "
    "GLOBAL STACK_GLOBAL REDUCE BUILD PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET"
).split()


# The interpreter written in Python, not the one in C: it takes a table of instructions that can be
# narrowed, and a memo index of four thousand million costs it nothing. A file of arrays has a
# hundred instructions, so its speed does not matter.
class _ArrayUnpickler(pickle._Unpickler):
    dispatch = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in _INSTRUCTIONS
    }

    def __init__(self, file: _WholeReads) -> None:
        # "bytes" leaves Python 2's strings, which hold the pixels, as they are and uncopied.
        super().__init__(file, fix_imports=False, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PERMITTED[module, name]
        except KeyError:
            asked = _short(repr(f"{module}.{name}")[1:-1])  # escaped: it may hold line ends
            raise PickleError(
                f"forbidden global {asked}; only NumPy arrays are read from a pickle"
            ) from None


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Put the arrays in place of their stand-ins, each object once.

    A list may be named many times within lists that are named many times, or contain itself:
    copied at each mention, a small file would fill the memory.
    """
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, list | tuple):
        if id(value) not in done:
            done[id(value)] = None
            done[id(value)] = type(value)([_plain(item, done) for item in value])
        elif done[id(value)] is None:
            raise PickleError("a list that contains itself")
        return done[id(value)]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise PickleError(f"a value that is no array, number, list or tuple: {type(value).__name__}")


def _text(value: Any) -> str:
    if type(value) is bytes:
        return value.decode("latin1")
    if type(value) is not str:
        raise PickleError(f"a {type(value).__name__} where text is expected")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
