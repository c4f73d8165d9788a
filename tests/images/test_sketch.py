import io

import numpy as np
import pytest
from PIL import Image

from data.orl import find_orl
from facehash.images.read import UnreadableImageError
from facehash.images.sketch import are_copies, sketch


def saved(image, path, **options):
    image.save(path, **options)
    return sketch(path)


def test_copies_of_a_photo_are_recognized_and_photos_of_one_session_are_not(tmp_path):
    for person in (1, 7, 23):
        photos = [Image.open(find_orl() / f"s{person}" / f"{i}.pgm") for i in range(1, 6)]
        first = saved(photos[0], tmp_path / "a.png")
        for share, quality in ((1, 60), (0.7, 85)):
            size = tuple(round(share * side) for side in photos[0].size)
            smaller = photos[0].resize(size, Image.Resampling.LANCZOS)
            copy = saved(smaller, tmp_path / "b.jpg", quality=quality)
            assert are_copies(first, copy) and are_copies(copy, first)
        others = [saved(photo, tmp_path / "c.png") for photo in photos[1:]]
        assert not any(are_copies(first, other) for other in others)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_reduced_decoding_of_a_jpeg_sees_the_same(tmp_path, mode):
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    photo = Image.fromarray(small).resize((1200, 900), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = saved(photo.convert(mode), tmp_path / "a.jpg", quality=95, exif=exif.tobytes())
    turned = photo.transpose(Image.Transpose.ROTATE_270)
    assert seen.shape == (32, 32) and are_copies(seen, saved(turned, tmp_path / "a.png"))
    assert not are_copies(seen, saved(photo, tmp_path / "a.png"))


def test_a_file_that_lacks_its_end_has_a_sketch_and_no_photo_has_none(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[:-10])
    assert sketch(tmp_path / "cut.jpg").shape == (32, 32)
    (tmp_path / "text.jpg").write_bytes(b"\xff\xd8 no photo")
    for name in ("text.jpg", "gone.jpg"):
        with pytest.raises(UnreadableImageError):
            sketch(tmp_path / name)
