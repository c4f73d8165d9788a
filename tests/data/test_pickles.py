import os
import pickle
import re
import struct
import tracemalloc

import numpy as np
import pytest

from data.pickles import PickleError, load_pickle

TYPES = ["u1", "i1", "<i2", ">i4", "<i8", "u8", "<f2", "<f4", ">f4", "f8", "b1"]


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "file.pkl"
    return lambda content: (path.write_bytes(content), load_pickle(path))[1]


def short(text):
    return b"U" + bytes([len(text)]) + text


def call(module, name, arguments):
    """Return a pickle that calls a global; the arguments are instructions."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + arguments + b"tR."


def python_2_array(
    shape=b"K\x01", code=b"f4", data=b"\0" * 4, kind=b"cnumpy\nndarray\n", order=b"<"
):
    """Return an array as Python 2 writes it; shape and kind are instructions."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
        + kind
        + b"K\x00\x85U\x01b\x87R(K\x01("
        + shape
        + b"tcnumpy\ndtype\n"
        + short(code)
        + b"K\x00K\x01\x87R(K\x03"
        + short(order)
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<i", len(data))
        + data
        + b"tb."
    )


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("order", "CF")
def test_arrays_come_back_as_they_went(load, protocol, code, order):
    array = np.asarray(np.arange(2000).reshape(40, 50) % 2, dtype=code, order=order)
    x, y = load(pickle.dumps((array, [1, 2]), protocol=protocol))
    assert x.dtype == array.dtype and np.array_equal(x, array) and y == [1, 2]


@pytest.mark.parametrize("protocol", range(5))
def test_lists_of_numbers_come_back_as_plain_numbers(load, protocol):
    numbers = [np.int64(-3), 7, 2.5, np.float32(0.5), 2**70, True, None]
    assert load(pickle.dumps(numbers, protocol=protocol)) == [-3, 7, 2.5, 0.5, 2**70, True, None]


def test_an_array_written_by_python_2_is_read(load):
    array = load(python_2_array(b"K\x02K\x02", b"f4", np.arange(4, dtype="<f4").tobytes()))
    assert array.tolist() == [[0, 1], [2, 3]]


class MakesFolder:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(5))
def test_a_forbidden_global_is_named_and_not_called(tmp_path, load, protocol):
    victim = tmp_path / "made by a pickle"
    with pytest.raises(PickleError, match=r"file.pkl: forbidden global (posix|os|nt)\.mkdir; only"):
        load(pickle.dumps((MakesFolder(victim), [1]), protocol=protocol))
    assert not victim.exists()


def encode(encoding):
    text = b"X\x02\x00\x00\x00\xc3\xa9"
    return call("_codecs", "encode", text + b"X" + struct.pack("<I", len(encoding)) + encoding)


def python_3(dtype, value=0):
    return pickle.dumps(np.full(2, value, dtype), protocol=2)


GLOBALS = [("builtins", "eval"), ("__builtin__", "eval"), ("copy_reg", "_reconstructor"),
           ("numpy", "load"), ("numpy.core.multiarray", "fromfile"), ("numpy", "ndarray.tofile"),
           ("_codecs", "decode"), ("data.pickles", "load_pickle")]  # fmt: skip
INSTRUCTIONS = {"INST": b"ia\nb\n", "OBJ": b"o", "NEWOBJ": b"\x81", "NEWOBJ_EX": b"\x92",
                "EXT1": b"\x82\x01", "PERSID": b"P1\n", "BINPERSID": b"Q",
                "EMPTY_DICT": b"}"}  # fmt: skip
ONLY = "; only arrays of numbers are read"
REFUSED = [
    *((call(*name, short(b"x")), f"forbidden global {'.'.join(name)}; only") for name in GLOBALS),
    (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "forbidden global posix.system"),
    *((b"\x80\x02" + code + b".", f"forbidden instruction {name}{ONLY}")
      for name, code in INSTRUCTIONS.items()),
    (encode(b"zlib"), "_codecs.encode with encoding 'zlib'; only latin1"),
    (python_3(object, None), f"an array of Python objects{ONLY}"),
    *((python_3(code), ONLY) for code in ("U3", "S3", "M8[s]", "c8", "f4,i4", [("a", "2f4")])),
    # Before a code, "i4," would make it a record, "M8[s]," dates.
    *((python_2_array(data=b"\0" * 8, order=order), "an array of byte order '")
      for order in (b"i4,", b"M8[s],", b"", b"<<", b"2", b"O,", b"V" * 255)),
    (python_2_array(kind=b"cnumpy\ndtype\n"), "a class other than numpy.ndarray"),
    (python_2_array(b"J\xff\xff\xff\x7fM\x00\x0c"), "shape (2147483647, 3072) and type float32 "),
    (python_2_array(b"J\xff\xff\xff\xff" * 2), "shape is not a tuple of at most 64 lengths"),
    (call("numpy", "ndarray", b"J\xff\xff\xff\x7f\x85"), "damaged"),
    # Attempts to set an attribute of a permitted function.
    (b"\x80\x02c_codecs\nencode\nN}X\x01\x00\x00\x00aK\x01s\x86b.", "instruction EMPTY_DICT"),
    (b"\x80\x02c_codecs\nencode\nK\x01b.", "state is not a dictionary"),
    (b"\x80\x02c_codecs\nencode\nNb.", "a function, which is not an array"),
    # Announced sizes and memo indexes for which no memory may be allocated.
    (b"\x80\x02T\xff\xff\xff\x7fabc.", "truncated pickle: 2147483647 bytes are announced where"),
    (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.", "truncated pickle"),
    (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"abc.", "truncated pickle"),
    (b"\x80\x02K\x05r\xff\xff\xff\x7f.", "a memo index of 2147483647"),
    (b"\x80\x02K\x05p2147483647\n.", "a memo index of 2147483647"),
    (b"\x80\x02\x8b" + struct.pack("<i", 10**5) + b"\x01" * 10**5 + b".", "number of 100000 bytes"),
    (b"\x80\x02]q\x00h\x00a.", "a list that contains itself"),
    (python_3("f8")[:-40], "truncated pickle: "),
    (b"", "truncated pickle: "),
]  # fmt: skip


@pytest.mark.parametrize("content, message", REFUSED)
def test_everything_but_plain_arrays_is_refused(load, content, message):
    with pytest.raises(PickleError, match=re.escape(message)) as caught:
        load(content)
    assert str(caught.value).count("file.pkl: ") == 1


def test_an_array_written_by_python_2_in_text_is_read(load):
    array = python_2_array(b"I1\n", data=b"")[:-8] + rb"S'\xff\x00\x80?'" + b"\ntb."
    assert load(array).view("u4") == 0x3F8000FF


def test_nested_lists_that_repeat_each_other_are_not_expanded(load):
    content = b"\x80\x02]q\x00"
    for level in range(30):
        content += b"](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1])
    assert len(load(content + b".")) == 10


def bomb(levels=7):
    """Return 10 references to a list of 10 references to a list ...: short, but endless as text."""
    content = b"]q\x00"
    for level in range(levels):
        content = b"](" + content + (b"h" + bytes([level])) * 9 + b"eq" + bytes([level + 1])
    return content


ARRAY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
DTYPE = b"cnumpy\ndtype\nU\x02i4K\x00K\x01\x87R"


LONG = b"x" * 100_000
STRING = b"T" + struct.pack("<i", len(LONG)) + LONG
LARGE = [
    (call("numpy", "dtype", bomb()), "a list instead of text"),
    (ARRAY + b"(K\x01(" + bomb() + b"t" + DTYPE + b"\x89U\x00tb.", "shape is not a tuple"),
    (ARRAY + b"(K\x01" + bomb() + DTYPE + b"\x89U\x00tb.", "shape is not a tuple"),
    (call("_codecs", "encode", b"X\0\0\0\0" + bomb()), "a list instead of text"),
    (call("_codecs", "encode", bomb() + short(b"latin1")), "encode of a list; only text"),
    (b"\x80\x02" + DTYPE + b"(K\x03" + bomb() + b"NNNtb.", "a list instead of text"),
    (call("numpy", "dtype", STRING), "xxx"),
    (call("_codecs", "encode", b"X\0\0\0\0" + STRING), "xxx"),
    (call("a", LONG.decode(), b""), "xxx"),
    (b"\x80\x04\x8c\x03a\nbX" + struct.pack("<i", len(LONG)) + LONG + b"\x93.", "xxx"),
    (b"I" + LONG + b"\n.", "xxx"),
]


@pytest.mark.parametrize("content, message", LARGE, ids=range(len(LARGE)))
def test_a_message_is_one_line_and_repeats_little_of_the_file(load, content, message):
    tracemalloc.start()
    try:
        with pytest.raises(PickleError, match=message) as caught:
            load(content)
        # As text, the ten million lists would take 40 MB; with 30 levels, all memory.
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_file_cut_anywhere_is_an_error_that_names_it(load, protocol):
    whole = pickle.dumps((np.arange(12.0).reshape(3, 4), [1, 2, 3]), protocol=protocol)
    for length in range(len(whole)):
        with pytest.raises(PickleError, match="file.pkl: "):
            load(whole[:length])
