"""Reading pickled arrays without running anything that a file names.

A pickle is a program. `pickletools.genops` first reads it without running it: only the few
instructions that arrays, numbers, text, lists and tuples need are permitted. Then an `Unpickler`
whose `find_class` returns the stand-ins below runs it: no function or class that the file names is
ever looked up, and no array is larger than the bytes that the file contains for it.

Long strings, the pixels, are removed from the program before it runs: the unpickler would copy
them. It gets them back as persistent objects, which the file itself may not contain.
"""

import io
import math
import os
import pickle  # noqa: S403  (restricted below)
import pickletools
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError

_MAX_AXES = 64  # of a NumPy array
_MAX_SHOWN = 120  # characters of a file's content in an error message
_MAX_MEMO = 10_000
_LONG = 1 << 16  # bytes of a string that is removed from the program


class PickleError(InputError):
    """A pickle that is damaged, or contains more than arrays, numbers, lists and tuples."""


def load_pickle(path: Path) -> Any:
    """Read a pickle written by Python 2 or 3, protocols 0 to 4, as plain arrays and numbers.

    Args:
        path: The file.

    Returns:
        Its content: `numpy.ndarray` (read-only), numbers, text (Python 2's ``str`` as bytes), None,
        and lists and tuples of these.

    Raises:
        PickleError: A global other than NumPy's array reconstruction (named), a forbidden
            instruction, an array of objects, or a truncated or damaged file.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            program, strings = _checked_program(file)
            return _plain(_ArrayUnpickler(program, strings, file).load(), {})
        except PickleError as error:
            raise PickleError(f"{path}: {error}") from error
        except EOFError as error:
            raise PickleError(f"{path}: truncated pickle: {error}") from error
        # A damaged program can raise anything.
        except Exception as error:
            raise PickleError(f"{path}: not a pickle, or damaged: {_short(repr(error))}") from error


class _String(NamedTuple):
    """Where in the file a long string is."""

    start: int
    length: int
    is_text: bool


_OPCODES = frozenset(
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE "
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES BINBYTES8 "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS "
    "GLOBAL STACK_GLOBAL REDUCE BUILD PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET".split()
)


class _Skipped(bytes):
    """Stands in for a long string while `genops` reads: an empty one of the announced length."""

    length: int

    def __len__(self) -> int:
        return self.length


class _Reader:
    """The file as `genops` reads it; `program` is what was read, except for long strings."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self.program = bytearray()
        self.skipped: tuple[int, int] | None = None  # position and length of a long string

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise EOFError(f"{size} bytes are announced where {self._left} are left")
        self._left -= size
        if size >= _LONG:
            self.skipped = self._file.tell(), size
            self._file.seek(size, os.SEEK_CUR)
            stand_in = _Skipped()
            stand_in.length = size
            return stand_in
        content = self._file.read(size)
        self.program += content
        return content

    def readline(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the file ends within a line")
        self._left -= len(line)
        is_string = self.program.endswith(b"S")
        self.program += line
        # In Python 3.11, genops refuses strings that are not ASCII, as the bytes of an array.
        return b"''\n" if is_string else line


def _checked_program(file: BinaryIO) -> tuple[bytes, list[_String]]:
    """Read the program of a pickle without running it.

    Returns:
        The program, in which ``BINPERSID n`` replaces the n-th long string, and these strings.

    Raises:
        PickleError: A forbidden instruction, or a memo index above 10,000 which is also above the
            number of instructions. The unpickler allocates that much memory.
    """
    reader = _Reader(file)
    program = reader.program
    strings: list[_String] = []
    start = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(reader)):  # type: ignore[arg-type]
        name = opcode.name
        if name not in _OPCODES:
            raise PickleError(f"forbidden instruction {name}; only arrays of numbers are read")
        if name in ("PUT", "LONG_BINPUT") and int(argument or 0) > max(_MAX_MEMO, count):
            raise PickleError(f"a memo index of {_short(repr(argument))}")
        if reader.skipped:
            if name not in ("BINSTRING", "BINBYTES", "BINBYTES8", "BINUNICODE"):
                raise PickleError(f"a number of {reader.skipped[1]} bytes")
            del program[start:]
            program += pickle.BININT + struct.pack("<i", len(strings)) + pickle.BINPERSID
            strings.append(_String(*reader.skipped, is_text=name == "BINUNICODE"))
            reader.skipped = None
        elif name == "FRAME":
            # Its length is no longer right, and it is not needed.
            del program[start:]
        start = len(program)
    return bytes(program), strings


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
    """Stands in for `numpy.ndarray`: empty until the pickle sets its state."""

    value: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise PickleError("an array whose content is not plain bytes of numbers")
        number = dtype.dtype()
        # Before the shape is printed: lists that refer to each other can be endless as text.
        if (
            type(shape) is not tuple
            or len(shape) > _MAX_AXES
            or any(type(length) is not int or not 0 <= length < 2**63 for length in shape)
        ):
            raise PickleError(f"an array whose shape is not a tuple of at most {_MAX_AXES} lengths")
        announced = math.prod(shape) * number.itemsize
        if announced != len(data):
            raise PickleError(
                f"an array of shape {_short(repr(shape))} and type {number} needs {announced} "
                f"bytes, {len(data)} are there"
            )
        # A view of the bytes: the array takes no further memory.
        flat = np.frombuffer(data, dtype=number)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _Array:
        raise PickleError("an array of a class other than numpy.ndarray")
    return _Array()


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
        raise PickleError("a number whose content is not plain bytes")
    (value,) = np.frombuffer(data, dtype=dtype.dtype())
    return value.item()


def _encode(text: Any, encoding: Any) -> bytes:
    # Python 3 writes bytes for protocols 0 to 2 as latin-1 text to be encoded.
    if type(text) is not str:
        raise PickleError(f"_codecs.encode of a {type(text).__name__}; only text is permitted")
    name = _text(encoding)
    if name not in ("latin1", "latin-1"):
        raise PickleError(
            f"_codecs.encode with encoding {_short(repr(name))}; only latin1 is permitted"
        )
    return text.encode("latin1")


# Without dictionaries, which are forbidden, BUILD cannot set attributes of functions or classes.
_PERMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, program: bytes, strings: list[_String], file: BinaryIO) -> None:
        # "bytes" keeps Python 2's strings, which contain the pixels, as bytes.
        super().__init__(io.BytesIO(program), fix_imports=False, encoding="bytes")
        self._strings = strings
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PERMITTED[module, name]
        except KeyError:
            shown = _short(repr(f"{module}.{name}")[1:-1])  # escaped: it may contain line breaks
            raise PickleError(
                f"forbidden global {shown}; only NumPy arrays are read from a pickle"
            ) from None

    def persistent_load(self, pid: Any) -> bytes | str:
        start, length, is_text = self._strings[pid]
        self._file.seek(start)
        content = self._file.read(length)
        return str(content, "utf-8", "surrogatepass") if is_text else content


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Replace the stand-ins by their arrays, visiting each object once.

    A list may occur many times in lists that occur many times, or contain itself. Copied at each
    occurrence, the content of a small file would fill the memory.
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
    raise PickleError(f"a {type(value).__name__}, which is not an array, number, list or tuple")


def _text(value: Any) -> str:
    if type(value) is bytes:
        return value.decode("latin1")
    if type(value) is not str:
        raise PickleError(f"a {type(value).__name__} instead of text")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
