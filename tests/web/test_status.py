import json
import time

import pytest

from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


def wait_for(page, *states):
    for _ in range(600):
        run = page.get("/api/v1/status").json()["run"]
        if run["state"] in states:
            return run
        time.sleep(0.1)
    raise AssertionError(run)


def test_numbers_and_unreadable_files_are_shown(page, photos, index):
    (photos / "broken.jpg").write_bytes(b"not a picture")
    index()
    found = page.get("/api/v1/status").json()
    assert (found["photos"], found["faces"], found["people"], found["named"]) == (7, 7, 3, 5)
    assert found["unreadable"] == {"not a picture": 1} and found["folders"] == ["photos"]
    assert page.get("/api/v1/unread").json() == [
        {
            "file": "broken.jpg",
            "path": None,
            "reason": "not a picture",
            "why": "not a picture in a known format",
        }
    ]
    text = page.get("/status").text
    assert "broken.jpg" in text and "Look for new photos in “photos”" in text


def test_an_index_run_is_started_watched_and_finds_new_photos(page, photos):
    save(photos / "new.png", draw(40))
    assert page.form("/status/index", folder=1).headers["location"] == "/status"
    events = page.get("/status/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    runs = [json.loads(line[6:]) for line in events.text.splitlines() if line]
    run = runs[-1]
    assert runs[0]["state"] == "running"
    assert run["state"] == "done" and run["message"].startswith("1 new photos with 1 faces")
    assert page.get("/api/v1/status").json()["photos"] == 8
    # The searching thread sees the new face.
    assert len(page.get("/api/v1/faces/1/similar?k=50").json()["hits"]) == 7
    assert "Done: 1 new photos" in page.get("/status").text


@pytest.mark.full
def test_a_run_is_stopped_and_keeps_what_it_has_read(tmp_path, visit):
    folder, library = tmp_path / "many", tmp_path / "new"
    for number in range(60):
        save(folder / f"{number}.png", draw(number))
    Store.create(library).close()
    page = visit(library=library)
    assert page.change("POST", "/api/v1/index", json={"path": str(folder)}).status_code == 202
    again = page.change("POST", "/api/v1/index", json={"path": str(folder)})
    assert again.status_code == 400 and "going on already" in again.json()["error"]
    page.change("DELETE", "/api/v1/index")
    assert wait_for(page, "stopped", "done")["state"] in ("stopped", "done")
    assert page.change("POST", "/api/v1/index", json={"path": str(folder)}).status_code == 202
    assert wait_for(page, "done", "failed")["state"] == "done"
    assert page.get("/api/v1/status").json()["faces"] == 60


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 400), ({"folder": 9}, 400), ({"path": "photos"}, 400)]
)
def test_a_folder_that_is_none_is_refused(page, fields, status):
    assert page.form("/status/index", **fields).status_code == status


def test_folders_of_the_machine_cannot_be_chosen_from_elsewhere(visit, tmp_path):
    page = visit(csrf=False, host="0.0.0.0", token="a long token")
    bearer = {"Authorization": "Bearer a long token"}
    answer = page.post("/api/v1/index", headers=bearer, json={"path": str(tmp_path)})
    assert answer.status_code == 403 and "--photos" in answer.json()["error"]
