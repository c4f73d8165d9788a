"""Readers of files from outside, given mutations of real files, return a value or raise one line.

A minute in `make test-full`; ten in `make fuzz`.
"""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.helpers.array_files import save_npz, save_packed_npz
from tests.helpers.mutations.fuzz import fuzz
from tests.images.metadata import documents
from tests.images.test_dates import LONG, SHORT, START, box

pytestmark = pytest.mark.full
SHARES = 21  # calls of `fuzz`, among which the time of a long run is divided


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
    fuzz("image", PICTURES[kind], share=1 / SHARES)


RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (5, 12), np.uint8)
LABELS = {"gallery_labels": np.arange(5), "query_labels": np.arange(3)}
CODES = {"gallery_codes": BITS, "query_codes": BITS[:3]} | LABELS
PACKED = {
    "gallery_codes": np.packbits(BITS, axis=1, bitorder="little"),
    "query_codes": np.packbits(BITS[:3], axis=1, bitorder="little"),
    "bits": np.int64(12),
} | LABELS


def saved(saver, *contents):
    files = []
    for content in contents:
        file = io.BytesIO()
        saver(file, content)
        files.append(file.getvalue())
    return files


@pytest.mark.parametrize("saver", [save_npz, save_packed_npz])
def test_a_mutated_npz_is_read_or_refused(saver):
    signs = {name: array if "labels" in name else 2 * array.astype(np.int8) - 1
             for name, array in CODES.items()}  # fmt: skip
    fuzz("codes.npz", saved(saver, CODES, PACKED, signs), share=1 / SHARES)


def test_a_mutated_table_of_codes_is_read_or_refused():
    rows = [f"{role},{label}" for role, n in (("gallery", 5), ("query", 3)) for label in range(n)]
    codes = ["".join(map(str, row)) for row in [*BITS, *BITS[:3]]]
    tables = [
        "role,label,code\n" + "".join(f"{a},{b}\n" for a, b in zip(rows, codes, strict=True)),
        "role,label,bit0\ngallery,ann,-1\ngallery,bob,1\nquery,ann,1\n",
    ]
    fuzz("codes.csv", [table.encode() for table in tables], share=1 / SHARES)


def zipped(member):
    """Return an .npz with the given bytes as one array, and a valid checksum."""
    file = io.BytesIO()
    np.savez(file, **CODES)
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, member if name == "query_codes.npy" else old.read(name))
    return changed.getvalue()


def test_a_mutated_array_in_a_valid_zip_is_read_or_refused():
    seeds = []
    for array in (BITS[:3], BITS[:3].astype(np.float32), np.asfortranarray(BITS[:3])):
        file = io.BytesIO()
        np.save(file, array)
        seeds.append(file.getvalue())
    fuzz("codes.npz", seeds, zipped, share=1 / SHARES)


def test_a_mutated_pickle_is_read_or_refused():
    arrays = (np.arange(6, dtype="f4").reshape(2, 3), [1, np.int64(2), 2.5, None, "Ann", b"B"])
    fuzz("pickle", [pickle.dumps(arrays, number) for number in range(5)], share=1 / SHARES)


LIST = 'path,name,face\nann/1.jpg,Ann,1\n"b, o/2.jpg",Zoë 李,2\n/x/3.jpg,Bo,\n'
HISTORY = "epoch,loss,cross_entropy\n1,2.5,2.25\n2,1e-3,nan\n"


IMAGES = 'image,label,role\n1.png,Ann,train\n1.png,Ann,gallery\n"2.png",Bo Li,query\n'
CSVS = [
    ("names", LIST),
    ("names", LIST.replace(",", ";").replace("path", "Path")),
    ("history", HISTORY),
    ("list", IMAGES),
    ("list", "a b/1.png\tAnn\n"),
]


@pytest.mark.parametrize("reader, text", CSVS)
def test_a_mutated_csv_is_read_or_refused(reader, text):
    fuzz(reader, [text.encode(), text.encode("utf-8-sig")], share=1 / SHARES)


def test_a_mutated_header_of_a_video_has_a_date_or_none():
    seeds = [START + box(b"moov", SHORT), box(b"moov", LONG, wide=True) + box(b"mdat", b"x")]
    fuzz("movie date", seeds, share=1 / SHARES)


FACE = {"name": "Zoë 李", "digest": "0f" * 32, "box": [1.5, 2, 30, 4e1]}
BACKUP = {
    "schema": 1,
    "people": [{"name": "Ann", "earlier_names": ["Bo"]}],
    "names": [FACE | {"given": "user", "path": "/x/1.jpg", "faces": 2}],
    "rejections": [FACE],
    "forgotten": ["ab" * 32],
}


def test_a_mutated_backup_is_read_or_refused():
    texts = [json.dumps(BACKUP, indent=1, ensure_ascii=ascii) for ascii in (True, False)]
    fuzz("backup", [text.encode() for text in texts], share=1 / SHARES)


XMP = [documents.packet(one) for one in (documents.GUIDELINES, documents.DIGIKAM, documents.IPTC)]
TAKEOUT = '{"title": "a.jpg", "people": [{"name": "Zoë"}, {"name": "Ann"}]}'
PROGRAMS = {
    "xmp": [*XMP, documents.packet(documents.DIGIKAM).decode().encode("utf-16")],
    "picasa": [documents.PICASA],
    "takeout": [TAKEOUT.encode()],
}


@pytest.mark.parametrize("reader", PROGRAMS)
def test_mutated_names_of_other_programs_are_read_or_refused(reader):
    fuzz(reader, PROGRAMS[reader], share=1 / SHARES)


CONFIGS = [path.read_bytes() for path in sorted((ROOT / "configs").rglob("*.yaml"))]
SYNTAX = [b"a: &x [1, 2.5, ~, true, 0x1F, 1e-3, .inf, 2001-01-01, 'it''s', \"\\u00e9\\n\"]\n"
          b"b: {c: *x, d: [{e: 1}]}\nf: |\n  text\n  more\n? g\n: >-\n  folded\n...\n",
          b"%YAML 1.1\n---\n- !!binary aGVsbG8=\n- 190:20:30\n- 0o17\n"]  # fmt: skip


def test_a_mutated_yaml_text_is_parsed_or_refused():
    fuzz("yaml", [*SYNTAX, *CONFIGS[::9]], share=1 / SHARES)


def test_a_mutated_configuration_is_checked_or_refused():
    fuzz("config", CONFIGS, share=1 / SHARES)
