import importlib.util
import io
import os
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from facehash.images import read as images
from facehash.images.read import UnreadableImageError, decode_image, read_image, resize

# pytest installs its own filters for every test; outside of it Pillow's warnings are not shown.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)
needs_heif = pytest.mark.skipif(
    not importlib.util.find_spec("pillow_heif"), reason="needs the extra heic"
)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def decoded(image, kind="PNG", **options):
    return decode_image(encoded(image, kind, **options), "picture")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def transparent(mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    return image.convert(mode)


def palette():
    image = Image.new("P", (1, 1), 1)
    image.putpalette([*BLACK, *RED])
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.array([[3, 200]], np.uint8)), [[3] * 3, [200] * 3]),
        (Image.fromarray(np.array([[False, True]])), [BLACK, WHITE]),
        (palette(), [RED]),
        # Transparent pixels are white.
        *((transparent(mode), [WHITE, BLACK]) for mode in ("RGBA", "LA", "P")),
        (Image.new("RGBA", (1, 1), (*RED, 128)), [(255, 127, 127)]),
    ],
)
def test_pictures_of_any_mode_become_rgb(image, expected):
    assert np.array_equal(decoded(image), [expected])
    pixels = noise(5, 7, 3)
    assert np.array_equal(decoded(Image.fromarray(pixels)), pixels)


def test_cmyk_becomes_rgb():
    pixels = decoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(pixels.astype(int) - RED).max() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_gray_keeps_its_range(kind):
    values = np.array([[0, 257, 128 * 257, 65535, 128, 129]], np.uint16)
    pixels = decoded(Image.fromarray(values), kind)
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]


@pytest.mark.parametrize(("bits", "most"), [(8, 255), (10, 1023), (12, 4095), (16, 4096)])
def test_fewer_bits_in_sixteen_are_scaled_by_their_range(bits, most):
    values = np.array([[0, most // 2, most]], np.uint16)
    seen = decoded(Image.fromarray(values), "PNG")[0, :, 0].tolist()
    assert seen == [0, round(255 * (most // 2) / (2**bits - 1)), round(255 * most / (2**bits - 1))]
    color = cv2.imencode(".png", np.stack([values, values, 0 * values], 2))[1].tobytes()
    pixels = decode_image(io.BytesIO(color), "picture")
    tolerance = 1 if bits == 16 else 0  # Pillow keeps the upper byte of what is not dark
    assert (np.abs(pixels[0, :, 2].astype(int) - seen) <= tolerance).all()
    assert not pixels[0, :, 0].any()  # OpenCV has blue first


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", [".tiff", ".png"])
def test_dark_pictures_of_sixteen_bits_are_upright(kind, orientation):
    small = np.random.default_rng(0).integers(0, 4096, (4, 6, 3)).astype(np.uint16)
    small[0, 0] = 4095
    content = cv2.imencode(kind, small, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()
    pixels = decode_image(io.BytesIO(turned_by_header(content, kind, orientation)), "picture")
    expected = np.rot90(small[:, :, ::-1] * (255 / 4095), {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    assert pixels.shape == expected.shape and np.abs(pixels - expected).max() <= 0.5


def turned_by_header(content, kind, orientation):
    """Return a file with an EXIF orientation, which OpenCV does not write."""
    entry = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    if kind == ".png":
        exif = b"eXIfII*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
        chunk = struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
        return content[:33] + chunk + content[33:]
    assert content[:2] == b"II"
    (start,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[start : start + 2])
    entries = [content[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    kept = [one for one in entries if one[:2] != entry[:2]] + [entry]
    kept.sort(key=lambda one: struct.unpack("<H", one[:2]))
    place = struct.pack("<I", len(content))
    table = struct.pack("<H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:4] + place + content[8:] + table


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [
        *(("JPEG", orientation) for orientation in range(1, 9)),
        *((kind, 6) for kind in ("PNG", "WEBP", "TIFF", "AVIF", "MPO")),
        *(pytest.param("HEIF", orientation, marks=needs_heif) for orientation in (1, 6, 8)),
    ],
)
def test_the_exif_orientation_is_applied(kind, orientation):
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :32] = RED
    # The inverse of each orientation gives the pixels as a camera stores them.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
        # Only then does pillow-heif store the orientation outside the EXIF block, as phones do.
        stored.info["exif"] = exif.tobytes()
        seen = decoded(stored, kind)
    else:
        seen = decoded(stored, kind, exif=exif, quality=95)
    # Lossy formats blur a little; a wrong orientation would move the red corner.
    assert np.abs(seen.astype(int) - upright).mean() < 12


def test_an_invalid_orientation_or_exif_block_is_ignored():
    pixels = noise(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 9
    assert np.array_equal(decoded(Image.fromarray(pixels), exif=exif), pixels)
    broken = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 30
    assert np.array_equal(decoded(Image.fromarray(pixels), exif=broken), pixels)


def test_an_animation_yields_its_first_frame():
    frames = [Image.new("RGB", (2, 2), color) for color in (RED, WHITE)]
    pixels = decoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels[0, 0].tolist() == list(RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_every_supported_format_is_decoded_and_half_a_file_is_refused(tmp_path, kind):
    seen = decoded(Image.new("RGB", (16, 16), RED), kind).astype(int)
    assert np.abs(seen - RED).max() < 6
    whole = encoded(Image.fromarray(noise(64, 64, 3)), kind).getvalue()
    problem = reason(write(tmp_path / "half", whole[: len(whole) // 2]))
    assert problem == ("not_a_picture" if kind == "AVIF" else "damaged")


def png_header(width, height):
    """Return a PNG that announces a size and contains no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    file += struct.pack(">I", zlib.crc32(chunk))
    return file + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def reason(path, message=""):
    with pytest.raises(UnreadableImageError, match=message) as caught:
        read_image(path)
    # Errors are passed between processes.
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    return error.reason


def write(path, content):
    path.write_bytes(content)
    return path


def test_every_refusal_has_a_reason(tmp_path, monkeypatch):
    whole = encoded(Image.new("RGB", (64, 64), RED)).getvalue()
    float_picture = encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF").getvalue()
    assert reason(tmp_path / "gone.png", "gone.png: No such file") == "missing"
    assert reason(write(tmp_path / "file", whole) / "inside.png") == "missing"
    assert reason(tmp_path) == "not_a_file"
    assert reason(write(tmp_path / "text.png", b"text"), "in a known format") == "not_a_picture"
    assert reason(write(tmp_path / "empty.png", b""), "the file is empty") == "not_a_picture"
    for kind in ("ICO", "PCX", "EPS", "TGA", "PDF"):
        other = encoded(Image.new("RGB", (16, 16), RED), kind).getvalue()
        assert reason(write(tmp_path / "other.png", other)) == "not_a_picture"
    assert reason(write(tmp_path / "half.png", whole[:-40]), "damaged picture") == "damaged"
    assert reason(write(tmp_path / "float.tiff", float_picture), "floating-point") == "unsupported"
    # A decompression bomb is refused before it is decoded.
    for side in (8_000, 10_000, 20_000, 1_000_000):
        bomb = write(tmp_path / "bomb", png_header(side, side))
        assert reason(bomb, "limit of 50 million") == "too_many_pixels"
    # Reading does not block on a pipe or a device.
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("/dev/zero")
    assert reason(tmp_path / "pipe.jpg") == reason(tmp_path / "link.jpg") == "not_a_file"
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(whole) - 1)
    assert reason(write(tmp_path / "large.png", whole), "MB") == "too_large_file"


def test_without_its_package_a_heic_photo_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "known_formats", lambda: ("JPEG", "PNG"))
    photo = write(tmp_path / "photo.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    assert reason(photo, r"pip install 'facehash\[heic\]'") == "no_decoder"


def test_a_rectangle_is_cropped_not_stretched_and_stripes_do_not_alias():
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:48] = 200
    assert (resize(pixels, 32) == 200).all()
    assert (resize(pixels.transpose(1, 0, 2), 32) == 200).all()
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 32)[:, 2:-2].astype(int) - 127.5).max() < 6


def test_resizing_uses_the_documented_filter():
    pixels = noise(50, 50, 3)
    expected = Image.fromarray(pixels).resize((20, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(resize(pixels, 20), np.asarray(expected))
    assert np.array_equal(resize(pixels, 50), pixels)


def test_a_file_without_permission_is_unreadable(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(images.os, "open", refuse)
    assert reason(write(tmp_path / "secret.png", b"")) == "unreadable"


@pytest.mark.parametrize(
    ("image", "side", "message"),
    [
        (np.zeros((4, 4), np.uint8), 8, r"image must be uint8 \(height, width, 3\), got"),
        (np.zeros((4, 4, 3)), 8, "image must be uint8"),
        (np.zeros((0, 4, 3), np.uint8), 8, "image must be uint8"),
        (np.zeros((4, 4, 3), np.uint8), 0, "side must be at least 1, got 0"),
    ],
)
def test_other_arrays_and_sides_are_refused(image, side, message):
    with pytest.raises(ValueError, match=message):
        resize(image, side)
