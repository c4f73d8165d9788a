import struct

import h5py
import pytest

from facehash.hdf5_heaps import check_heaps
from tests.helpers.array_files import save_h5
from tests.helpers.mutations import child

NAMES = ["Ann", "Zoë 李", "Bo"]


@pytest.fixture
def content(tmp_path):
    save_h5(tmp_path / "names.h5", {"matrix": [[1.0]], "names": NAMES})
    return (tmp_path / "names.h5").read_bytes()


def free_space(content):
    """Where the size of the free space of the only heap is written."""
    at = content.index(b"GCOL") + 16 + sum(16 + -(-len(name.encode()) // 8) * 8 for name in NAMES)
    assert struct.unpack("<HHIQ", content[at : at + 16])[0] == 0
    return at + 8


def test_a_sound_heap_passes(content):
    check_heaps(content, 8)
    assert child().read("arrays.h5", content) == "value"


# Found by make fuzz: HDF5 1.14.6 reads both for ever.
@pytest.mark.parametrize("size", [0, 3840])
def test_a_heap_without_an_end_is_refused_and_not_read_for_ever(content, size):
    at = free_space(content)
    broken = content[:at] + struct.pack("<Q", size) + content[at + 8 :]
    with pytest.raises(ValueError, match="damaged heap"):
        check_heaps(broken, 8)
    assert child().read("arrays.h5", broken) == "refused"


# Found by make fuzz: HDF5 sets aside what a text is said to have, 2 GB of a file of 8 kB.
@pytest.mark.parametrize("options", [{}, {"chunks": (2,)}])
def test_a_text_longer_than_its_file_is_refused_and_no_memory_set_aside(tmp_path, options):
    with h5py.File(tmp_path / "names.h5", "w") as file:
        file["matrix"] = [[1.0]]
        file.create_dataset("names", data=NAMES, dtype=h5py.string_dtype(), **options)
        names = file["names"].id
        start = names.get_chunk_info(0).byte_offset if options else names.get_offset()
    content = bytearray((tmp_path / "names.h5").read_bytes())
    assert child().read("arrays.h5", content) == "value"
    # The second name is called 16 bytes on, its length in the first four.
    assert content[start + 16 : start + 20] == struct.pack("<I", len(NAMES[1].encode()))
    content[start + 16 : start + 20] = struct.pack("<I", 0x7F000000)
    assert child().read("arrays.h5", content) == "refused"


def test_heaps_within_heaps_are_refused_soon():
    count = 20_000
    heap = b"GCOL\x01".ljust(8, b"\0") + struct.pack("<Q", 2**40)
    # Each is what an object of those before it holds.
    with pytest.raises(ValueError, match="damaged heap"):
        check_heaps((heap + struct.pack("<HHIQ", 1, 0, 0, len(heap))) * count, 8)


def test_a_text_that_looks_like_the_beginning_of_a_heap_is_no_harm(tmp_path):
    save_h5(tmp_path / "names.h5", {"matrix": [[1.0]], "names": ["GCOL\x01", "GCOL\x01 and on"]})
    assert child().read("arrays.h5", (tmp_path / "names.h5").read_bytes()) == "value"
