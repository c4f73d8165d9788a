import dataclasses
from pathlib import Path

import pytest

from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import Settings, check_settings

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
