"""Readers of files from outside, given mutations of real ones: a value or one line, never else.

About a minute here; `make fuzz` goes on for ten.
"""

import io
import pickle
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.helpers.array_files import SAVERS, save_matlab_4
from tests.helpers.mutations import fuzz

pytestmark = pytest.mark.slow
TESTS = 28  # between them they share the time of a long run


def drawing(mode="RGB"):
    x, y = np.meshgrid(np.arange(40), np.arange(28))
    pixels = np.stack([5 * x, 7 * y, 3 * (x + y)], axis=2).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(kind, mode="RGB", **options):
    file = io.BytesIO()
    image = drawing(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        options["exif"] = exif
    if options.get("save_all"):
        options["append_images"] = [image.rotate(180)]
    image.save(file, kind, **options)
    return file.getvalue()


PICTURES = {
    "JPEG": [encoded("JPEG"), encoded("JPEG", progressive=True), encoded("JPEG", "CMYK"),
             encoded("JPEG", "L"), encoded("MPO", save_all=True)],
    "PNG": [encoded("PNG"), encoded("PNG", "P"), encoded("PNG", "RGBA"), encoded("PNG", "1"),
            encoded("PNG", "LA"), encoded("PNG", "I;16")],
    "WEBP": [encoded("WEBP"), encoded("WEBP", lossless=True), encoded("WEBP", save_all=True)],
    "TIFF": [encoded("TIFF", compression=one) for one in
             (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")]
            + [encoded("TIFF", "1", compression="group4"), encoded("TIFF", "CMYK")],
    "GIF": [encoded("GIF", "P"), encoded("GIF", "P", save_all=True)],
    "BMP": [encoded("BMP"), encoded("BMP", "P"), encoded("BMP", "RGBA"), encoded("BMP", "1")],
    "PPM": [encoded("PPM"), encoded("PPM", "L"), encoded("PPM", "1"), b"P3 2 1 9 1 2 3 4 5 6\n",
            encoded("PPM", "I;16")],
    "AVIF": [encoded("AVIF")],
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_a_mutated_picture_is_decoded_or_refused(kind):
    fuzz("image", PICTURES[kind], share=1 / TESTS)


def with_right_sums(content):
    """A PNG whose chunks have the sums that belong to them."""
    fixed, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        chunk = content[at + 4 : at + 8 + min(length, 1 << 20)]
        fixed += content[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + len(chunk) - 4
    return bytes(fixed)


def test_a_mutated_png_of_right_sums_is_decoded_or_refused():
    fuzz("image", PICTURES["PNG"], with_right_sums, share=1 / TESTS)


RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (5, 12), np.uint8)
LABELS = {"gallery_labels": np.arange(5), "query_labels": np.arange(3)}
CODES = {"gallery_codes": BITS, "query_codes": BITS[:3]} | LABELS
PACKED = {
    "gallery_codes": np.packbits(BITS, axis=1, bitorder="little"),
    "query_codes": np.packbits(BITS[:3], axis=1, bitorder="little"),
    "bits": np.int64(12),
} | LABELS
NAMED = {
    "matrix": np.arange(12.0).reshape(3, 4),
    "names": ["Ann", "Zoë 李", ""],
    "reals": np.array([[0.5, np.nan]]),
    "cube": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
}
FORMS = ("npz", "compressed npz", "h5", "MATLAB 5", "MATLAB 7", "MATLAB 7.3")


def saved(tmp_path, form, *contents):
    files = []
    for number, content in enumerate(contents):
        ending, saver = SAVERS[form]
        path = tmp_path / f"{number}{ending}"
        saver(path, content)
        files.append(path.read_bytes())
    return files


@pytest.mark.parametrize("form", FORMS)
def test_a_mutated_code_file_is_read_or_refused(tmp_path, form):
    signs = {name: array if "labels" in name else 2 * array.astype(np.int8) - 1
             for name, array in CODES.items()}  # fmt: skip
    seeds = saved(tmp_path, form, CODES, PACKED, signs)
    fuzz(f"codes{SAVERS[form][0]}", seeds, share=1 / TESTS)
    seeds = saved(tmp_path, form, NAMED | {"names": NAMED["names"][:2]}, NAMED)
    fuzz(f"arrays{SAVERS[form][0]}", seeds, share=1 / TESTS)


def zipped(member):
    """An .npz in which one array is what is given, with the sum that belongs to it."""
    file = io.BytesIO()
    np.savez(file, **CODES)
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, member if name == "query_codes.npy" else old.read(name))
    return changed.getvalue()


def test_a_mutated_array_of_right_sums_in_an_npz_is_read_or_refused():
    seeds = []
    for array in (BITS[:3], BITS[:3].astype(np.float32), np.asfortranarray(BITS[:3])):
        file = io.BytesIO()
        np.save(file, array)
        seeds.append(file.getvalue())
    fuzz("codes.npz", seeds, zipped, share=1 / TESTS)


def compressed(content):
    """A file of MATLAB 7: behind the head, the elements of one of MATLAB 5, each compressed."""
    packed, at = content[:128], 128
    while at < len(content):
        length = 8 + int.from_bytes(content[at + 4 : at + 8].ljust(4, b"\0"), "little")
        element = zlib.compress(content[at : at + length])
        packed += struct.pack("<II", 15, len(element)) + element
        at += length
    return packed


def test_a_mutated_array_of_right_sums_in_a_matlab_7_file_is_read_or_refused(tmp_path):
    seeds = saved(tmp_path, "MATLAB 5", NAMED, NAMED | {"matrix": np.array([[1 + 2j, 3]])})
    fuzz("arrays.mat", seeds, compressed, share=1 / TESTS)


def test_a_mutated_matlab_4_file_is_read_or_refused(tmp_path):
    save_matlab_4(tmp_path / "4.mat", {name: np.atleast_2d(CODES[name] * 1.0) for name in CODES})
    fuzz("codes.mat", [(tmp_path / "4.mat").read_bytes()], share=1 / TESTS)


def test_a_mutated_hdf5_file_of_compressed_blocks_is_read_or_refused(tmp_path):
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        for name, array in CODES.items():
            shape = (2, 5)[: array.ndim]
            file.create_dataset(
                name, data=array, chunks=shape, compression="gzip", shuffle=True, fletcher32=True
            )
    fuzz("codes.h5", [(tmp_path / "codes.h5").read_bytes()], share=1 / TESTS)


def test_a_mutated_pickle_is_read_or_refused():
    arrays = (np.arange(6, dtype="f4").reshape(2, 3), [1, np.int64(2), 2.5, None, "Ann", b"B"])
    fuzz("pickle", [pickle.dumps(arrays, number) for number in range(5)], share=1 / TESTS)


CONFIGS = [path.read_bytes() for path in sorted((ROOT / "configs").rglob("*.yaml"))]
SYNTAX = [b"a: &x [1, 2.5, ~, true, 0x1F, 1e-3, .inf, 2001-01-01, 'it''s', \"\\u00e9\\n\"]\n"
          b"b: {c: *x, d: [{e: 1}]}\nf: |\n  text\n  more\n? g\n: >-\n  folded\n...\n",
          b"%YAML 1.1\n---\n- !!binary aGVsbG8=\n- 190:20:30\n- 0o17\n"]  # fmt: skip


def test_a_mutated_yaml_text_is_parsed_or_refused():
    fuzz("yaml", [*SYNTAX, *CONFIGS[::9]], share=1 / TESTS)


def test_a_mutated_configuration_is_checked_or_refused():
    fuzz("config", CONFIGS, share=1 / TESTS)
