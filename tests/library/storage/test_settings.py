import dataclasses
from pathlib import Path

import pytest

from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.library.storage.schema import migrate
from facehash.library.storage.settings import (
    Settings,
    check_settings,
    read_settings,
    write_settings,
)
from facehash.vectors import Space

VECTORS = Settings("yunet", "yunet 0.7", "sface", "sface 0ba9", "cosine", 128, "arcface112", 112)


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "library.db")
    migrate(database)
    yield database
    database.close()


def test_settings_are_read_as_written(database):
    assert read_settings(database) is None
    for settings in (VECTORS, dataclasses.replace(VECTORS, codes="itq:64", seed=5)):
        write_settings(database, settings)
        assert read_settings(database) == settings


def test_settings_give_the_spaces_of_rows_and_codes():
    assert (VECTORS.space, VECTORS.code_space) == (Space("cosine", 128), None)
    assert dataclasses.replace(VECTORS, codes="lsh:20").code_space == Space("hamming", 20)
    codes = dataclasses.replace(VECTORS, metric="hamming", dimension=48)
    assert codes.space == codes.code_space == Space("hamming", 48)


@pytest.mark.parametrize(
    ("key", "value"),
    [("metric", "taxicab"), ("dimension", "0"), ("dimension", str(10**30)), ("side", "9999999"),
     ("side", "x"), ("codes", "itq:0"), ("seed", None)],
)  # fmt: skip
def test_invalid_settings_are_damage(database, key, value):
    write_settings(database, dataclasses.replace(VECTORS, codes="itq:64"))
    database.run("DELETE FROM settings WHERE key = ?", (key,))
    if value is not None:
        database.run("INSERT INTO settings VALUES (?, ?)", (key, value))
    with pytest.raises(DamagedLibraryError, match="its settings are damaged"):
        read_settings(database)


def test_other_settings_are_an_error_with_both_values():
    lib = Path("lib")
    check_settings(VECTORS, dataclasses.replace(VECTORS, codes="itq:64", embedder="SFace"), lib)
    for change, message in [
        ({"embedder_identity": "facenet 12"}, "embedder sface 0ba9, not facenet 12; omit --emb"),
        ({"detector_identity": "haar"}, "detector yunet 0.7, not haar; omit --detector, or"),
        ({"side": 160}, "made with side 112, not 160, by the embedder sface 0ba9"),
    ]:
        with pytest.raises(LibraryError, match=message):
            check_settings(VECTORS, dataclasses.replace(VECTORS, **change), lib)
