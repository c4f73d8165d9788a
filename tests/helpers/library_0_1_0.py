"""The libraries that facehash 0.1.0 made, and the photos in them: tests/fixtures/library-0.1.0."""

import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from data.orl import find_orl

MADE = Path(__file__).parents[1] / "fixtures" / "library-0.1.0"
ALBUM = "/photos/album"
PORTRAITS = {"Ada": (1, (1, 2, 3)), "Ben": (2, (1, 2, 3)), "Cy": (3, (1, 2)), "Dot": (4, (1, 2))}
"""Folder -> person and pictures of the ORL faces."""
MTIME_NS = 1_577_836_800_000_000_000  # 2020-01-01 00:00 UTC


def unpack(name, folder):
    """Unpack ``"library"`` or ``"library-unwiped"``; return its directory and expected content."""
    with zipfile.ZipFile(MADE / f"{name}.zip") as file:
        file.extractall(folder)
    library = folder / name
    # Zip files lose the modes.
    for path in (library, *library.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return library, json.loads((MADE / "expected.json").read_text())[name]


def make_album(folder):
    """Write the photos, with the same bytes and modification times as the indexed ones."""
    files = {
        f"{name}/{number}.png": _png(_picture(person, number))
        for name, (person, numbers) in PORTRAITS.items()
        for number in numbers
    }
    files["copies/ada.png"] = files["Ada/1.png"]
    # Twice as wide as high, so that the detector of the fakes finds two faces.
    party = [_picture(person, 5)[10:102] for person in (1, 2)]
    files["party.png"] = _png(np.concatenate(party, axis=1))
    files["night.png"] = _png(np.zeros((20, 20), np.uint8))
    files["notes.jpg"] = b"This is a text, not a picture.\n"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))


def _picture(person, number):
    content = (find_orl() / f"s{person}" / f"{number}.pgm").read_bytes()
    return np.frombuffer(content[-112 * 92 :], np.uint8).reshape(112, 92)


def _png(gray):
    """Return uint8 (height, width) as an uncompressed PNG, the same with every version of zlib."""
    height, width = gray.shape
    raw = b"".join(b"\0" + row.tobytes() for row in gray)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    stored += struct.pack(">I", zlib.adler32(raw))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", stored), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
