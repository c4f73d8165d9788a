import dataclasses
from pathlib import Path

import pytest

from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import (
    Settings,
    check_settings,
    read_settings,
    write_settings,
)
from facehash.library.storage.store import Store

VECTORS = Settings("yunet", "yunet 0.7", "sface", "sface 0ba9", "cosine", 128, "arcface112", 112)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("embedder_identity", "facenet 12", "embedder sface 0ba9, not facenet 12; omit --emb"),
        ("detector_identity", "haar", "detector yunet 0.7, not haar; omit --detector, or"),
        ("side", 160, "made with side 112, not 160, by the embedder sface 0ba9"),
    ],
)
def test_other_settings_are_an_error_with_both_values(name, value, message):
    with pytest.raises(LibraryError, match=message):
        check_settings(VECTORS, dataclasses.replace(VECTORS, **{name: value}), Path("lib"))


@pytest.mark.parametrize(
    ("scales", "name", "expected"),
    [
        ("320+1280", "yunet", "yunet,tiles=off,turns=off"),
        ("320+1280", "yunet,score=0.9", "yunet,score=0.9,tiles=off,turns=off"),
        ("320+1280,tiles=3200,turns=8", "yunet", "yunet"),
        ("320+1280,turns=8", "yunet,tiles=off", "yunet,tiles=off"),
    ],
)
def test_the_detector_of_an_old_library_searches_neither_small_nor_turned_faces(
    tmp_path, scales, name, expected
):
    identity = f"yunet:score=0.7,scales={scales},sha256=8f23"
    written = dataclasses.replace(VECTORS, detector=name, detector_identity=identity)
    with Store.create(tmp_path / "lib") as store:
        write_settings(store.database, written)
        assert read_settings(store.database).detector == expected
