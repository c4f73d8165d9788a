"""`facehash index --on` with a real Dask scheduler and workers on loopback."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import facehash as package
from facehash.errors import InputError
from facehash.library.ingest import cluster as dask_cluster
from facehash.library.ingest.cluster import Certificates, connect
from facehash.library.ingest.update import index_folder
from facehash.library.upkeep.check import check
from facehash.printing import listen_to_progress
from tests.conftest import ROOT
from tests.helpers.face_data import copy_people, photos, weights_dir
from tests.helpers.facehash_command import facehash
from tests.helpers.poison import poisoned
from tests.helpers.servers.certificates import Certificates as MadeCertificates
from tests.helpers.servers.dask import Cluster, end, worker_of
from tests.library import fakes
from tests.library.conftest import draw, rows, save

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler with two workers."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start_worker()
    cluster.start_worker()
    yield cluster
    cluster.close()


@pytest.fixture
def alone(tmp_path):
    """A scheduler without workers."""
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def album(tmp_path):
    for seed in range(90):
        save(tmp_path / "album" / f"{seed:02}.png", draw(seed))
    return tmp_path / "album"


def on(url, album, directory, make_pipeline=fakes.make_pipeline, **options):
    with connect(url, **options) as machines:
        return index_folder(
            album, directory, machines=machines, progress=False, make_pipeline=make_pipeline
        )


def compare_with_local(cluster, folder, poison, kill_after):
    """Index photos on a cluster, of which a worker is killed on the way, and on this machine."""
    poison.parent.mkdir(exist_ok=True)
    image = np.array(Image.open(photos()[0]))
    image[0, 0] = fakes.DEADLY
    Image.fromarray(image).save(poison)
    make_pipeline = functools.partial(poisoned, weights_dir=weights_dir())
    reports, killed = [], []
    worker = worker_of(cluster.processes[1])

    def kill(what, done, _):
        if what == "indexing" and done >= kill_after and not killed:
            killed.append(worker.pid)
            worker.kill()

    with connect(cluster.url) as machines, listen_to_progress(kill):
        reports.append(
            index_folder(
                folder,
                folder.parent / "on",
                names="folders",
                codes="learned:64",
                machines=machines,
                make_pipeline=make_pipeline,
            )  # fmt: skip
        )
    assert killed and not worker.is_running()
    reports.append(
        index_folder(
            folder,
            folder.parent / "here",
            names="folders",
            codes="learned:64",
            workers=2,
            make_pipeline=make_pipeline,
        )  # fmt: skip
    )
    for report in reports:
        [unread] = report.unread
        assert unread.path == poison
        assert (unread.reason, unread.why) == ("crashed", "the process that read it died")
    assert reports[0].photos == reports[1].photos == len(list(folder.rglob("*.jpg")))
    assert reports[0].faces == reports[1].faces >= reports[0].photos
    assert rows(folder.parent / "on") == rows(folder.parent / "here")
    assert check(folder.parent / "on") == []


@pytest.mark.timeout(300)
def test_the_library_equals_a_local_one_although_a_worker_is_killed(cluster, tmp_path):
    folder = copy_people(tmp_path / "photos", (6, 24))
    compare_with_local(cluster, folder, folder / "Adam" / "poison.png", kill_after=8)


@pytest.mark.full
@pytest.mark.skipif(
    "FACEHASH_WHOLE_LFW" not in os.environ, reason="ten minutes: FACEHASH_WHOLE_LFW=1 runs it"
)
@pytest.mark.timeout(1800)
def test_all_of_lfw_equals_a_local_library(cluster, tmp_path):
    folder = tmp_path / "photos"
    for path in photos():
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name / path.name)
    compare_with_local(cluster, folder, folder / "Mo" / "poison.png", kill_after=500)


def test_a_second_run_reads_only_what_is_new(cluster, album, tmp_path):
    directory = tmp_path / "lib"
    assert on(cluster.url, album, directory).photos == 90
    shutil.move(album / "00.png", album / "moved.png")
    save(album / "new.png", draw(1234))
    report = on(cluster.url, album, directory)
    assert (report.photos, report.same_content, report.unchanged) == (1, 1, 89)
    # Removed from the workers, which are asked for nothing more.
    assert on(cluster.url, album, directory).unchanged == 91


@pytest.mark.timeout(300)
def test_ctrl_c_keeps_what_is_stored_and_the_next_run_continues(cluster, album, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from facehash import cli, pipeline\n"
        "from facehash.library.ingest import batch\n"
        "from tests.library import fakes\n"
        "from facehash.printing import listen_to_progress\n"
        "batch.PHOTOS = 8\n"
        "for name in ('make_detector', 'make_embedder', 'crop_face'):\n"
        "    setattr(pipeline, name, getattr(fakes, name))\n"
        "def say(what, done, _):\n"
        "    if done == 20:\n"
        "        print('there', flush=True)\n"
        "        import time; time.sleep(600)\n"
        "with listen_to_progress(say):\n"
        "    cli.main()\n"
    )
    words = ["--detector", "halves", "--embedder", "cosine:12", "--on", cluster.url]
    process = subprocess.Popen(
        [sys.executable, script, "index", album, "--library", tmp_path / "lib", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "there\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert error.startswith("facehash: interrupted; 16 new photos are in "), error
    assert error.count("\n") == 1 and f"--on {cluster.url}" in error
    assert len(rows(tmp_path / "lib")["photos"]) == 16
    report = on(cluster.url, album, tmp_path / "lib", lambda *_: FAKES)
    assert (report.unchanged, report.photos) == (16, 74)
    index_folder(album, tmp_path / "whole", progress=False, make_pipeline=lambda *_: FAKES)
    assert rows(tmp_path / "lib")["faces"] == rows(tmp_path / "whole")["faces"]


FAKES = fakes.make_pipeline("halves", "cosine:12")


def test_a_worker_with_other_weights_is_refused(alone, tmp_path, monkeypatch):
    shutil.copytree(weights_dir(), tmp_path / "weights", copy_function=os.symlink)
    name = "face_detection_yunet_2023mar.onnx"
    content = bytearray((weights_dir() / name).read_bytes())
    content[1000] ^= 1
    (tmp_path / "weights" / name).unlink()
    (tmp_path / "weights" / name).write_bytes(content)
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    worker = alone.start_worker(FACEHASH_WEIGHTS=str(tmp_path / "weights"))
    folder = copy_people(tmp_path / "photos", (0, 2))
    words = ("index", folder, "--library", tmp_path / "lib", "--on", alone.url)
    code, _, error = facehash(*words)
    assert code == 2 and error.count("\n") == 1
    assert error.startswith("facehash: worker tcp://127.0.0.1:")
    digest = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
    assert "its SHA-256 is " in error and f", not {digest}" in error
    assert rows(tmp_path / "lib")["photos"] == []
    # The same, if it joins during the run.
    end(worker)
    monkeypatch.setattr(dask_cluster.DaskMachines, "check", lambda *_: None)
    alone.start_worker(FACEHASH_WEIGHTS=str(tmp_path / "weights"))
    late = facehash(*words)
    assert late[0] == 2 and f", not {digest}" in late[2] and late[2].count("\n") == 1


def test_a_worker_of_another_version_or_without_the_photos_is_refused(
    cluster, album, tmp_path, monkeypatch
):
    monkeypatch.setattr(package, "__version__", "9.8.7")
    with pytest.raises(InputError, match=r"^worker tcp://127.* has facehash 0.*, not 9\.8\.7 as"):
        on(cluster.url, album, tmp_path / "lib")
    monkeypatch.undo()
    lost = tmp_path / "lost"
    find = dask_cluster.DaskMachines.check

    def hide(machines, task, probe):
        album.rename(lost)
        try:
            find(machines, task, probe)
        finally:
            lost.rename(album)

    monkeypatch.setattr(dask_cluster.DaskMachines, "check", hide)
    expected = rf"^worker tcp://127.* cannot read {album} \(no such folder\); every worker needs"
    with pytest.raises(InputError, match=expected):
        on(cluster.url, album, tmp_path / "lib")


def test_a_scheduler_without_workers_is_waited_for_and_then_refused(
    alone, album, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(dask_cluster, "_WITHOUT_WORKERS", 2.0)
    with pytest.raises(InputError, match=rf"^{alone.url}: no worker within 2 seconds; start one"):
        on(alone.url, album, tmp_path / "lib")
    assert "has no workers; waiting 2 seconds" in caplog.text
    assert on_after(alone, album, tmp_path / "lib").photos == 90


def on_after(cluster, album, directory):
    """Index while a worker is still starting."""
    cluster.start_worker()
    return on(cluster.url, album, directory)


def test_all_workers_are_lost(alone, album, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_WITHOUT_WORKERS", 1.0)
    monkeypatch.setattr(dask_cluster, "_LOOK_AGAIN", 0.5)
    worker = alone.start_worker()

    def lose(what, done, _):
        if what == "indexing" and done == 16:
            end(worker)
            time.sleep(0.5)

    with listen_to_progress(lose), pytest.raises(InputError, match="no worker within 1 seconds"):
        on(alone.url, album, tmp_path / "lib")
    assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}


def test_no_scheduler(tmp_path, album, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_CONNECTING", 1.0)
    expected = r"^tcp://127\.0\.0\.1:9: no scheduler answers \(.*\); is it running"
    with pytest.raises(InputError, match=expected):
        on("tcp://127.0.0.1:9", album, tmp_path / "lib")


def test_tls_needs_a_certificate_of_the_same_authority(tmp_path, album, monkeypatch):
    made = MadeCertificates(tmp_path / "certificates")
    certificate, key = made.for_host("127.0.0.1")
    files = ["--tls-ca-file", made.authority, "--tls-cert", certificate, "--tls-key", key]
    cluster = Cluster(tmp_path, "tls", files)
    monkeypatch.setattr(dask_cluster, "_CONNECTING", 2.0)
    try:
        cluster.start_worker()
        given = ["--tls-ca", made.authority, "--tls-cert", certificate, "--tls-key", key]
        words = ("index", album, "--library", tmp_path / "lib", "--on", cluster.url)
        code, _, error = facehash(*words)
        assert code == 2 and "needs --tls-ca FILE, or distributed.comm.tls.ca-file in" in error
        code, _, error = facehash(*words, *given[:2])
        assert code == 2 and "needs --tls-cert FILE" in error
        code, _, error = facehash(*words, *given[:4], "--tls-key", tmp_path / "absent.key")
        assert code == 2 and f"{tmp_path / 'absent.key'}: No such file" in error
        code, _, error = facehash(*words, *given[:4], "--tls-key", made.authority)
        assert code == 2 and "not certificates and a key in PEM format that belong toge" in error
        # Signed by an authority that the scheduler does not know.
        other = made.other_authority
        foreign = Certificates(made.authority, other, other.with_suffix(".key"))
        for wrong in (foreign, Certificates(other, certificate, key)):
            with pytest.raises(InputError, match="signed by the authority|no scheduler answers"):
                on(cluster.url, album, tmp_path / "lib", certificates=wrong)
        with pytest.raises(InputError, match="no scheduler answers"):
            on(cluster.url.replace("tls:", "tcp:"), album, tmp_path / "lib")
        right = Certificates(made.authority, certificate, key)
        assert on(cluster.url, album, tmp_path / "lib", certificates=right).photos == 90
        # As Dask is configured.
        import dask

        settings = {"ca-file": made.authority, "client.cert": certificate, "client.key": key}
        configured = {f"distributed.comm.tls.{one}": str(path) for one, path in settings.items()}
        with dask.config.set(configured):
            assert on(cluster.url, album, tmp_path / "lib").unchanged == 90
    finally:
        cluster.close()
