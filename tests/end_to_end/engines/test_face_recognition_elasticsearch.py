"""The example that remakes a face search on Elasticsearch, with real photos and weights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.helpers.face_data import copy_people, weights_dir
from tests.helpers.servers.elasticsearch import ACCOUNT

pytestmark = pytest.mark.engines


@pytest.mark.timeout(600)
def test_a_folder_is_indexed_and_a_photo_of_a_person_found(elasticsearch_server, tmp_path):
    server = elasticsearch_server
    photos = copy_people(tmp_path / "album", (4, 4), photos_each=3)
    person = sorted(photos.iterdir())[0]
    wanted = [each for each in sorted(photos.iterdir()) if len(list(each.iterdir())) == 3][0]
    asked = tmp_path / "asked.jpg"
    shutil.move(sorted(wanted.iterdir())[0], asked)

    def run():
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "face_recognition_elasticsearch.py",
             photos, asked, server.url_of(ACCOUNT, None)],
            cwd=tmp_path,
            env=os.environ
            | {
                "FACEHASH_WEIGHTS": str(weights_dir()),
                "FACEHASH_ENGINE_PASSWORD": server.password,
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "local index" not in done.stderr  # what a failed engine is replaced by
        return [line.split(maxsplit=2) for line in done.stdout.splitlines()]

    hits = run()
    assert len(hits) == 5
    assert {name for _, name, _ in hits[:2]} == {wanted.name.replace("_", " ")} or all(
        wanted.name in path for _, _, path in hits[:2]
    )
    distances = [float(distance) for distance, _, _ in hits]
    assert distances == sorted(distances) and distances[1] < 0.6 < distances[2]

    client = server.client()
    try:
        (content,) = client.indices.get(index="face_recognition").body.values()
        vector = content["mappings"]["properties"]["vector"]
        assert vector["type"] == "dense_vector" and vector["similarity"] == "cosine"
        count = client.count(index="face_recognition", query={"exists": {"field": "face"}})
        faces = count["count"]
        assert faces >= 15

        # The folder stays: without it, its drive might be missing, and the library would wait.
        gone = person if person != wanted else sorted(photos.iterdir())[1]
        next(gone.iterdir()).unlink()
        assert run()[0] == hits[0]
        count = client.count(index="face_recognition", query={"exists": {"field": "face"}})
        assert count["count"] < faces
    finally:
        client.indices.delete(index=client.indices.get(index="face_recognition").body.popitem()[0])
        client.close()
