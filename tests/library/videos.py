"""Videos for tests, written by OpenCV: pictures that stand or move on a gray background."""

import cv2
import numpy as np
from PIL import Image

from data.orl import find_orl

SIZE = (480, 300)


def orl(person, picture):
    """Return a picture of the ORL faces at twice its size, uint8 (224, 184, 3)."""
    with Image.open(find_orl() / f"s{person}" / f"{picture}.pgm") as image:
        return np.asarray(image.convert("RGB").resize((184, 224), Image.Resampling.BICUBIC))


def write_video(path, scenes, rate=10, codec="mp4v", size=SIZE):
    """Write a video.

    Args:
        path: An .mp4 or .avi file.
        scenes: Pairs of seconds and pictures shown; of each picture its pixels, its left edge in
            pixels, and by how many pixels it moves per frame.
        rate: Frames per second.
        codec: ``mp4v`` or ``MJPG``.
        size: Width and height of the frames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
    assert writer.isOpened()
    for seconds, pictures in scenes:
        for number in range(round(seconds * rate)):
            frame = np.full((size[1], size[0], 3), 128, np.uint8)
            for pixels, left, step in pictures:
                x = round(left + step * number)
                height, width = pixels.shape[:2]
                frame[20 : 20 + height, x : x + width] = pixels
            writer.write(frame[:, :, ::-1])
    writer.release()
    return path
