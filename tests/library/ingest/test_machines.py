"""Reading on other machines, with executors that are in this process or beside it."""

import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import pytest

from facehash.errors import InputError
from facehash.library.ingest import chunks, cluster
from facehash.library.ingest.machines import Machines
from facehash.library.ingest.update import index_folder
from tests.helpers.facehash_command import facehash
from tests.library import fakes
from tests.library.conftest import draw, rows, save
from tests.library.ingest.test_workers import deadly


class Inline(Executor):
    """Calls a function at once; `before` and `after` are called around it."""

    def __init__(self, before=None, after=None):
        self.before, self.after, self.calls = before, after, []

    def submit(self, function, /, version, chunk):
        self.calls.append(chunk)
        future = Future()
        try:
            if self.before:
                self.before()
            future.set_result(function(version, chunk))
        except Exception as error:
            future.set_exception(error)
        finally:
            if self.after:
                self.after()
        return future


@pytest.fixture(autouse=True, scope="module")
def _end_processes():
    yield
    chunks._close_all()
    chunks._idle.clear()


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    for seed in range(12):
        save(folder / f"{seed:02}.png", draw(seed, 80 if seed % 4 == 0 else 40))
    save(folder / "copy.png", draw(3))
    (folder / "diary.jpg").write_text("no picture")
    deadly(folder / "05.5.png")
    return folder


def run(album, directory, machines=None, **options):
    standard = {"progress": False, "make_pipeline": fakes.make_pipeline, "machines": machines}
    return index_folder(album, directory, **(standard | options))


@pytest.mark.parametrize(
    "embedder", ["cosine:12", pytest.param("hamming:12", marks=pytest.mark.full)]
)
def test_any_executor_makes_the_library_of_a_local_run(album, tmp_path, embedder):
    local = run(album, tmp_path / "here", workers=2, embedder=embedder)
    with ThreadPoolExecutor(2) as executor:
        machines = Machines(executor, photos_per_chunk=4)
        report = run(album, tmp_path / "on", machines, embedder=embedder)
    assert rows(tmp_path / "on") == rows(tmp_path / "here")
    assert report.unread == local.unread
    assert {one.path.name: one.reason for one in report.unread} == {
        "05.5.png": "crashed",
        "diary.jpg": "not_a_picture",
    }
    executor = Inline()
    (album / "03.png").rename(album / "moved.png")
    assert run(album, tmp_path / "on", Machines(executor), embedder=embedder).same_content == 1
    # Only digests of files of the same size travel.
    [chunk] = executor.calls
    assert 1 <= len(chunk.known) < 12


@pytest.mark.full
def test_workers_that_die_with_a_photo_do_not_take_others_with_it(album, tmp_path):
    class Mortal(Machines):
        """Dies of a photo of one name, as where a system ends all that uses much memory."""

        def result(self, future):
            found = future.result()
            return None if any("07" in photo.path.name for photo in found.photos) else found

    report = run(album, tmp_path / "on", Mortal(Inline(), photos_per_chunk=5), workers=3)
    assert [one.path.name for one in report.unread if one.reason == "crashed"] == [
        "05.5.png",
        "07.png",
    ]
    assert report.photos == 11 and report.same_content == 1


def test_a_file_that_only_the_worker_does_not_see_is_not_removed(album, tmp_path):
    directory, away = tmp_path / "lib", tmp_path / "away.png"
    run(album, directory, Machines(Inline()))
    save(album / "00.png", draw(400))
    save(album / "new.png", draw(500))

    def hide():
        (album / "00.png").rename(away)
        (album / "new.png").rename(tmp_path / "new.png")

    def show():
        away.rename(album / "00.png")
        (tmp_path / "new.png").rename(album / "new.png")

    before = rows(directory)["faces"]
    report = run(album, directory, Machines(Inline(hide, show)))
    assert {one.path.name: one.reason for one in report.unread} == {
        "00.png": "unreadable",
        "new.png": "unreadable",
    }
    assert "but this machine can; every worker needs the photos at the same path" in (
        report.unread[0].why
    )
    assert report.removed == 0 and rows(directory)["faces"] == before
    # Without a reason to keep it, the next run reads it.
    assert run(album, directory, Machines(Inline())).photos == 2


def test_a_file_that_is_gone_everywhere_counts_as_gone(album, tmp_path):
    executor = Inline(before=lambda: (album / "00.png").unlink(missing_ok=True))
    report = run(album, tmp_path / "lib", Machines(executor))
    assert report.photos == 11 and not any("00" in one.path.name for one in report.unread)


def test_a_worker_that_reads_photos_in_another_way_is_refused(album, tmp_path):
    class Different(Machines):
        """Sends the workers what another machine would."""

        def check(self, task, probe):
            other = task.environment._replace(embedder="sface:sha256=1")
            object.__setattr__(task, "environment", other)
            tasks.append(task)

    tasks = []
    expected = r"worker .*: has projection 12 cosine, not sface:sha256=1 as the machine that writes"
    with pytest.raises(InputError, match=expected):
        run(album, tmp_path / "lib", Different(Inline()), workers=1)
    assert rows(tmp_path / "lib")["photos"] == []
    reader = chunks._Reader(tasks[0])
    mine = reader.environment
    for other, message in (
        (mine._replace(detector="whole"), "has halves, not whole as the machine that writes"),
        (mine._replace(formats=("JPEG", "JXL")), "cannot decode JXL, as the machine that writes"),
    ):
        with pytest.raises(InputError, match=message):
            reader.check(other)
    reader.check(mine)
    reader.close()


def test_a_worker_of_another_version_is_refused(album, tmp_path):
    class Older(Inline):
        def submit(self, function, /, version, chunk):
            return super().submit(function, "0.0.9", chunk)

    with pytest.raises(InputError, match=r"worker .*: has facehash 0\.2.*, not 0\.0\.9 as the"):
        run(album, tmp_path / "lib", Machines(Older()))


@pytest.mark.full
def test_an_executor_that_breaks_keeps_what_is_stored(album, tmp_path):
    class Broken(Inline):
        def submit(self, function, /, version, chunk):
            future = super().submit(function, version, chunk)
            if len(self.calls) > 2:
                future = Future()
                future.set_exception(BrokenExecutor("a process has died"))
            return future

    with pytest.raises(InputError, match=r"the executor has lost its workers \(a process has died"):
        run(album, tmp_path / "lib", Machines(Broken(), photos_per_chunk=3), workers=2)
    assert run(album, tmp_path / "lib", Machines(Inline())).photos > 0


@pytest.mark.full
def test_a_process_that_reads_photos_ends_when_it_has_nothing_to_do(monkeypatch, album, tmp_path):
    monkeypatch.setattr(chunks, "_IDLE", 0.2)
    chunks._close_all()
    chunks._idle.clear()
    run(album, tmp_path / "lib", Machines(Inline()))
    chunks._end_idle()
    assert not chunks._readers and not chunks._idle


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on", "tcp://10.0.0.1:8786"], "on another machine and not encrypted; photos, faces"),
        (["--on", "tcp://scheduler"], "use tls:// with certificates, or --insecure on a network"),
        (["--on", "http://127.0.0.1"], "expected the address of a Dask scheduler, tcp://HOST:8786"),
        (["--on", "tcp://127.0.0.1:port"], "expected the address of a Dask scheduler"),
        (["--on", "scheduler:8786"], "expected the address of a Dask scheduler"),
        (["--on", "tcp://127.0.0.1", "--tls-ca", "ca.pem"], "certificates need an address with"),
        (["--tls-cert", "c.pem"], "--tls-cert: is of use with --on only"),
        (["--insecure"], "--insecure: is of use with --on only"),
    ],
)
def test_addresses_that_are_refused(album, tmp_path, words, message):
    code, out, error = facehash("index", album, "--library", tmp_path / "lib", *words)
    assert (code, out) == (2, "") and message in error and error.count("\n") == 1
    assert not (tmp_path / "lib").exists()


def test_without_dask_the_extra_is_named(album, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ("index", album, "--library", tmp_path / "lib", "--on", "tcp://127.0.0.1:9")
    code, _, error = facehash(*words)
    assert code == 2 and "needs Dask; pip install 'facehash[dask]'" in error


def test_the_port_and_numbers_of_version_6(monkeypatch):
    assert cluster._address("tcp://localhost", False) == "tcp://localhost:8786"
    assert cluster._address("tcp://[::1]:9", False) == "tcp://[::1]:9"
    assert cluster._address("tcp://10.0.0.1", True) == "tcp://10.0.0.1:8786"
    assert cluster._address("tls://scheduler:1", False) == "tls://scheduler:1"


def test_a_video_is_a_chunk_by_itself(tmp_path):
    from facehash.library.ingest.machines import _chunks

    jobs = [(tmp_path / name, None) for name in ("a.jpg", "b.mp4", "c.jpg", "d.jpg", "e.jpg")]
    parts = [[path.name for path, _ in part] for part in _chunks(jobs, 2)]
    assert parts == [["a.jpg"], ["b.mp4"], ["c.jpg", "d.jpg"], ["e.jpg"]]
