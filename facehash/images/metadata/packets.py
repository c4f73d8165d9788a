"""XMP packets in picture files and in sidecars beside them.

The packets stand where *XMP Specification Part 3* puts them: in an APP1 segment of a JPEG, which
long packets continue in others, in an ``iTXt`` chunk of a PNG, in tag 700 of a TIFF, and in chunks
of their own in WebP, AVIF and HEIC. Only headers are read, no pixel is decoded.
"""

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from facehash.errors import InputError, in_one_line
from facehash.images.metadata.regions import PhotoPeople
from facehash.images.metadata.xmp import MAX_BYTES, Packet, parse_xmp
from facehash.images.read import UnreadableImageError, open_encoded, open_picture
from facehash.images.rgb import orientation_of

SUFFIX = ".xmp"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD = struct.Struct(">32sII")  # identifier, length and offset
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_XMP_TAG = 700
_SIZE_TAGS = (256, 257)
_PNG = b"\x89PNG\r\n\x1a\n"


class Header(NamedTuple):
    """What the header of a picture file says, without its pixels."""

    size: tuple[int, int]  # width and height as stored
    orientation: int  # EXIF orientation, 1 to 8


def read_header(path: Path) -> Header:
    """Return the stored size and the orientation of a picture.

    Raises:
        InputError: The file cannot be read.
    """
    return _read(path)[0]


def read_embedded(path: Path) -> tuple[Header, PhotoPeople]:
    """Return the header of a picture, and the people in its XMP.

    XMP that cannot be understood is a problem of the result.

    Raises:
        InputError: The file cannot be read as a picture.
    """
    header, packets = _read(path)
    return header, PhotoPeople.join(_parsed(one).people for one in packets)


def read_sidecar(path: Path) -> Packet:
    """Return the people in a sidecar; XMP that cannot be understood is a problem of the result."""
    try:
        with open_picture(path) as file:
            content = file.read(MAX_BYTES + 1)
    except InputError as error:
        return Packet(PhotoPeople(problems=(str(error).removeprefix(f"{path}: "),)))
    except OSError as error:
        return Packet(PhotoPeople(problems=(error.strerror or str(error),)))
    return _parsed(content)


def _parsed(content: bytes) -> Packet:
    try:
        return parse_xmp(content)
    except InputError as error:
        return Packet(PhotoPeople(problems=(str(error),)))


def _read(path: Path) -> tuple[Header, list[bytes]]:
    try:
        with open_picture(path) as file:
            # PNG files may have their XMP after the pixels, where Pillow finds it too late.
            packets = _png_packets(file) if file.read(len(_PNG)) == _PNG else None
            file.seek(0)
            with open_encoded(file, str(path)) as image:
                if packets is None:
                    packets = _packets(image)
                return _header(image), packets
    except InputError:
        raise
    # Pillow's decoders raise almost any exception for damaged files.
    except Exception as error:
        message = in_one_line(error)[:100]
        raise UnreadableImageError(f"{path}: {message}", "damaged") from error


def _header(image: Image.Image) -> Header:
    original = image.info.get("original_orientation")  # of HEIC, which pillow-heif turns itself
    orientation = original or orientation_of(image)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    width, height = image.size
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None:  # of a TIFF, which Pillow turns when it decodes it
        width, height = (
            int(tags.get(tag, side)) for tag, side in zip(_SIZE_TAGS, image.size, strict=True)
        )
    elif original is not None and orientation >= 5:
        width, height = height, width
    return Header((width, height), orientation)


def _packets(image: Image.Image) -> list[bytes]:
    packet: Any = image.info.get("xmp")
    tags: Any = getattr(image, "tag_v2", None)
    if not packet and tags is not None:
        packet = tags.get(_XMP_TAG)
    if isinstance(packet, tuple):  # of a TIFF, as bytes or as numbers
        packet = packet[0] if len(packet) == 1 else bytes(one & 0xFF for one in packet)
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes) or not packet.strip(b"\0"):
        return []
    return [packet, *_extensions(image, packet)]


def _extensions(image: Image.Image, packet: bytes) -> list[bytes]:
    """Return what other segments of a JPEG add to its packet, see Part 3, 1.1.3.1."""
    parts: dict[bytes, dict[int, bytes]] = {}
    for kind, content in getattr(image, "applist", ()):
        start = len(_EXTENSION) + _EXTENSION_HEAD.size
        if kind == "APP1" and content.startswith(_EXTENSION) and len(content) > start:
            identifier, _, offset = _EXTENSION_HEAD.unpack_from(content, len(_EXTENSION))
            if identifier in packet:
                parts.setdefault(identifier, {})[offset] = content[start:]
    return [b"".join(one for _, one in sorted(found.items())) for found in parts.values()]


def _png_packets(file: BinaryIO) -> list[bytes]:
    """Return the XMP of a PNG; the file is after its signature."""
    packets = []
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind != b"iTXt" or length > MAX_BYTES:
            file.seek(length + 4, 1)
            continue
        content = file.read(length)
        file.seek(4, 1)
        if not content.startswith(_XMP_KEYWORD) or len(content) < len(_XMP_KEYWORD) + 2:
            continue
        compressed = content[len(_XMP_KEYWORD)]
        # Language and translated keyword end with a null character each.
        text = content[len(_XMP_KEYWORD) + 2 :].split(b"\0", 2)[-1]
        if compressed:
            try:
                text = zlib.decompressobj().decompress(text, MAX_BYTES + 1)
            except zlib.error:
                continue
        packets.append(text)
    return packets
