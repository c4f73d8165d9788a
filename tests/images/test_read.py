import importlib.util
import io
import os
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from facehash.errors import InputError
from facehash.images import read as images
from facehash.images.read import UnreadableImageError, decode_image, read_image, resize
from tests.conftest import ROOT

# pytest sets up its own filters for every test; outside, what Pillow warns of is not shown.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def decoded(image, kind="PNG", **options):
    return decode_image(encoded(image, kind, **options), "picture")


def test_colour_arrives_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(decoded(Image.fromarray(pixels)), pixels)


def test_grey_fills_three_channels():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(decoded(Image.fromarray(grey)), np.repeat(grey[..., None], 3, 2))


def test_black_and_white_becomes_0_and_255():
    bits = Image.fromarray(np.array([[False, True]]))
    assert decoded(bits).tolist() == [[[0] * 3, [255] * 3]]


def test_a_palette_is_looked_up():
    image = Image.new("P", (1, 1), 1)
    image.putpalette([0, 0, 0, *RED])
    assert decoded(image)[0, 0].tolist() == list(RED)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_white(mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    pixels = decoded(image.convert(mode))
    assert pixels.tolist() == [[list(WHITE), [0, 0, 0]]]


def test_half_transparent_red_is_pink():
    assert decoded(Image.new("RGBA", (1, 1), (*RED, 128)))[0, 0].tolist() == [255, 127, 127]


def test_cmyk_becomes_rgb():
    pixels = decoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(pixels.astype(int) - RED).max() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_keeps_its_range(kind):
    values = np.array([[0, 257, 128 * 257, 65535, 128, 129]], np.uint16)
    pixels = decoded(Image.fromarray(values), kind)
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]


def test_floating_point_pixels_are_refused():
    with pytest.raises(UnreadableImageError, match="floating point numbers, whose white"):
        decoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif_orientation(orientation, kind):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = RED
    # How a camera stores it: the inverse of what a viewer undoes.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Lossy formats bleed a little; a wrong turn would move the red corner.
    seen = decoded(stored, kind, exif=exif, quality=95).astype(int)
    assert np.abs(seen - upright).mean() < 12


def test_an_orientation_that_does_not_exist_is_passed_over():
    exif = Image.Exif()
    exif[0x0112] = 9
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    assert np.array_equal(decoded(Image.fromarray(pixels), exif=exif), pixels)


def test_a_broken_exif_block_does_not_cost_the_picture():
    pixels = np.full((4, 4, 3), 90, np.uint8)
    broken = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 30
    assert decoded(Image.fromarray(pixels), exif=broken).shape == (4, 4, 3)


def test_an_animation_shows_its_first_frame():
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, WHITE)]
    pixels = decoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels[0, 0].tolist() == list(RED)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    with pytest.raises(UnreadableImageError, match="notes.jpg: not a picture in a known format"):
        read_image(path)


def test_an_empty_file_is_no_picture(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(UnreadableImageError, match="not a picture"):
        read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_half_a_file_is_a_damaged_picture(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = encoded(Image.fromarray(pixels), kind).getvalue()
    path = tmp_path / "half"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImageError, match="half: "):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableImageError, match="gone.png: No such file"):
        read_image(tmp_path / "gone.png")


def png_header(width, height):
    """A PNG that announces a size and holds no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    file += struct.pack(">I", zlib.crc32(chunk))
    return file + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded():
    with pytest.raises(UnreadableImageError, match="10000 x 10000 pixels are more than the 50 mil"):
        decode_image(io.BytesIO(png_header(10_000, 10_000)), "bomb")


def reason(path):
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return caught.value.reason


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("side", [8_000, 10_000, 20_000, 1_000_000])
def test_a_decompression_bomb_is_told_by_its_pixels(tmp_path, side):
    assert reason(write(tmp_path / "bomb", png_header(side, side))) == "too_many_pixels"


def test_every_refusal_has_a_reason_to_count_by(tmp_path, monkeypatch):
    whole = encoded(Image.new("RGB", (64, 64), RED)).getvalue()
    assert reason(tmp_path / "gone.png") == "missing"
    assert reason(write(tmp_path / "file", whole) / "inside.png") == "missing"
    assert reason(tmp_path) == "not_a_file"
    assert reason(write(tmp_path / "text.png", b"not a picture")) == "not_a_picture"
    assert reason(write(tmp_path / "empty.png", b"")) == "not_a_picture"
    assert reason(write(tmp_path / "half.png", whole[:-40])) == "damaged"
    float_picture = encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF").getvalue()
    assert reason(write(tmp_path / "float.tiff", float_picture)) == "unsupported"
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(whole) - 1)
    assert reason(write(tmp_path / "large.png", whole)) == "too_large_file"


def test_a_reason_travels_between_processes():
    error = pickle.loads(pickle.dumps(UnreadableImageError("a.png: gone", "missing")))
    assert str(error) == "a.png: gone" and error.reason == "missing"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not_a_file"
    (tmp_path / "link.jpg").symlink_to("/dev/zero")
    assert reason(tmp_path / "link.jpg") == "not_a_file"


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(images.os, "open", refuse)
    assert reason(write(tmp_path / "secret.png", b"")) == "unreadable"


@pytest.mark.parametrize("kind", ["ICO", "PCX", "EPS", "TGA", "PDF"])
def test_formats_outside_the_list_are_not_decoded(tmp_path, kind):
    content = encoded(Image.new("RGB", (16, 16), RED), kind).getvalue()
    assert reason(write(tmp_path / "picture.png", content)) == "not_a_picture"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_every_format_on_the_list_is_decoded(kind):
    seen = decoded(Image.new("RGB", (16, 16), RED), kind).astype(int)
    assert np.abs(seen - RED).max() < 6


def test_a_phone_photo_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_formats", lambda: ("JPEG", "PNG"))
    photo = write(tmp_path / "photo.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    assert reason(photo) == "no_decoder"
    with pytest.raises(UnreadableImageError, match=r"pip install 'facehash\[heic\]'"):
        read_image(photo)


@pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="needs the extra heic")
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_phone_photo_is_decoded_upright(orientation):
    import pillow_heif

    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :32] = RED
    undo = {6: 2, 8: 4}
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Only so does pillow-heif write the turn where HEIC has it, which is not in the EXIF block.
    stored.info["exif"] = exif.tobytes()
    pillow_heif.register_heif_opener()
    assert np.abs(decoded(stored, "HEIF").astype(int) - upright).mean() < 12


def test_an_unreadable_image_is_an_input_error():
    assert issubclass(UnreadableImageError, InputError)


def test_an_image_of_the_right_side_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert resize(pixels, 32) is pixels or np.array_equal(resize(pixels, 32), pixels)


@pytest.mark.parametrize("shape", [(100, 60, 3), (60, 100, 3), (1, 50, 3), (3, 3, 3)])
def test_any_picture_becomes_a_square(shape):
    pixels = resize(np.full(shape, 77, np.uint8), 20)
    assert pixels.shape == (20, 20, 3) and pixels.dtype == np.uint8 and (pixels == 77).all()


def test_what_is_not_square_loses_its_ends_and_is_not_stretched():
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:48] = 200
    assert (resize(pixels, 32) == 200).all()
    assert (resize(pixels.transpose(1, 0, 2), 32) == 200).all()


def test_fine_stripes_average_out_instead_of_aliasing():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = resize(stripes, 32)[:, 2:-2].astype(int)
    assert np.abs(inner - 127.5).max() < 6


def test_resizing_agrees_with_the_filter_named():
    pixels = np.random.default_rng(1).integers(0, 256, (50, 50, 3), np.uint8)
    by_hand = Image.fromarray(pixels).resize((20, 20), Image.Resampling.BICUBIC)
    assert images.RESIZE_FILTER is Image.Resampling.BICUBIC
    assert np.array_equal(resize(pixels, 20), np.asarray(by_hand))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_only_colour_bytes_are_resized(image):
    with pytest.raises(ValueError, match=r"an image is uint8 \(height, width, 3\), got"):
        resize(image, 8)


def test_a_side_below_one_is_refused():
    with pytest.raises(ValueError, match="side is 0"):
        resize(np.zeros((4, 4, 3), np.uint8), 0)


def test_nothing_of_what_pillow_warns_of_is_shown(tmp_path):
    path = write(tmp_path / "bomb.png", png_header(10_000, 10_000))
    script = (
        "import sys; from pathlib import Path; from facehash.images.read import read_image\n"
        "try: read_image(Path(sys.argv[1]))\nexcept ValueError as error: print(error.reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("too_many_pixels\n", "")
