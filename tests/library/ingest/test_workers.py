import pytest

from facehash.errors import InputError
from facehash.files import FileState
from facehash.library.ingest import workers
from facehash.library.ingest.read import ReadOptions
from tests.library import fakes
from tests.library.conftest import draw, save

OPTIONS = ReadOptions(fakes.make_pipeline("halves", "cosine:4"), "box", 16)


def jobs_of(paths):
    return [(path, FileState(path.stat().st_size, 0)) for path in paths]


def deadly(path):
    image = draw(99).copy()
    image[0, 0] = fakes.DEADLY
    return save(path, image)


def test_results_are_in_order_despite_files_that_kill_workers(tmp_path):
    paths = [save(tmp_path / f"{seed}.png", draw(seed)) for seed in range(6)]
    paths[2:2] = [deadly(tmp_path / "x.png")]
    found = list(workers.read_photos(jobs_of(paths), OPTIONS, [], 2))
    assert [photo.path for photo in found] == paths
    assert [photo.reason for photo in found] == [None] * 2 + ["crashed"] + [None] * 4
    assert all(photo.crops.shape == (1, 16, 16, 3) for photo in found if photo.reason is None)


def test_workers_that_cannot_start_are_reported_once(tmp_path, monkeypatch):
    broken = ReadOptions(fakes.make_pipeline("eagle", "cosine:4"), "box", 16)
    with pytest.raises(InputError, match="worker processes cannot be started; use --workers 1"):
        list(workers.read_photos(jobs_of([save(tmp_path / "a.png", draw(1))]), broken, [], 2))


def test_known_contents_are_not_decoded(tmp_path):
    paths = [save(tmp_path / "a.png", draw(1)), save(tmp_path / "b.png", draw(1))]
    [first, copy] = workers.read_photos(jobs_of(paths), OPTIONS, [], 1)
    assert not first.known and copy.known and first.digest == copy.digest
    [photo] = workers.read_photos(jobs_of(paths[:1]), OPTIONS, [first.digest], 1)
    assert photo.known and photo.crops is None
