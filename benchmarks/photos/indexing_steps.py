"""The time of each step of indexing a photo, on one core."""

import hashlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2

from facehash.files import FileState
from facehash.images.read import decode_image
from facehash.images.scan import scan
from facehash.library.ingest.read import encode_jpeg
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, default_pipeline

PHOTOS = 200
_T = TypeVar("_T")


def time_steps(data: Path) -> dict[str, float]:
    """Return the processor time of each step in milliseconds per photo, for a sample of photos."""
    cv2.setNumThreads(1)
    pipeline = FacePipeline.create(default_pipeline("yunet", "sface"))
    files = sorted(scan(data).files)
    files = files[:: max(1, len(files) // PHOTOS)][:PHOTOS]
    seconds: Counter[str] = Counter()

    def step(name: str, work: Callable[..., _T], *args: Any) -> _T:
        start = time.process_time()
        done = work(*args)
        seconds[name] += time.process_time() - start
        return done

    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "library") as store:
        for number, path in enumerate([files[-1], *files]):
            if number == 1:  # the first photo only loads the networks
                seconds.clear()
            content = step("read", path.read_bytes)
            digest = step("digest", _digest, content)
            image = step("decode", decode_image, io.BytesIO(content), str(path))
            faces = step("find faces", pipeline.cropper.find, image)
            crops = step("crop", pipeline.cropper.crop_faces, image, faces)
            rows = step("describe", pipeline.embedder.embed, crops)
            pictures = [step("make small pictures", encode_jpeg, crop) for crop in crops]
            stored = tuple(
                NewFace(face.box, face.landmarks, face.score, 1.0, jpeg, row, None)
                for face, jpeg, row in zip(faces, pictures, rows, strict=True)
            )
            size = (image.shape[1], image.shape[0])
            photo = NewPhoto(path, FileState(0, 0), digest, size, faces=stored)
            step("store", store.add, [photo])
    return {name: round(1e3 * spent / len(files), 3) for name, spent in seconds.most_common()}


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
