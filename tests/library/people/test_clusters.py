import numpy as np
import pytest

from facehash.library.people.clusters import (
    get_cluster,
    ignore_cluster,
    list_clusters,
    name_cluster,
    split_cluster,
    unignore_cluster,
    update_clusters,
)
from facehash.library.people.edit import name_faces, unname_faces
from facehash.library.people.ignore import ignore_faces, ignored_faces
from facehash.library.people.journal import list_statements, undo
from facehash.library.people.suggest import reject
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from tests.library import vector_library
from tests.library.vector_library import OTHER, fill

ROWS = vector_library.people(6, 5)


@pytest.fixture
def store(directory):
    with Store.create(directory) as store:
        yield store


@pytest.fixture
def faces(store):
    """The first three faces of six people; the sixth has one."""
    ids = fill(store, np.concatenate([*(ROWS[5 * p : 5 * p + 3] for p in range(5)), ROWS[25:26]]))
    return np.array(ids[:15]).reshape(5, 3)


def members(store):
    return {one.id: set(one.faces) for one in list_clusters(store)}


def test_faces_of_a_person_become_a_cluster_and_a_second_run_changes_nothing(store, faces):
    done = update_clusters(store)
    assert (done.faces, done.new_clusters, done.clustered, done.joined, done.alone) == (
        16, 5, 15, 0, 1,
    )  # fmt: skip
    found = members(store)
    assert sorted(map(sorted, found.values())) == faces.tolist()
    again = update_clusters(store)
    assert (again.new_clusters, again.clustered, again.joined, again.alone) == (0, 0, 0, 1)
    assert members(store) == found


def test_new_faces_join_or_form_clusters_and_all_ids_stay(store, faces):
    update_clusters(store)
    before = members(store)
    somebody = vector_library.people(1, 2, seed=9)
    late = fill(store, np.concatenate([ROWS[3:5], ROWS[26:28], somebody]))
    done = update_clusters(store)
    # Two join the first person; the lonely sixth gets company; and there is somebody new.
    assert (done.joined, done.new_clusters, done.clustered, done.alone) == (2, 2, 5, 0)
    after = members(store)
    first = next(one for one, own in before.items() if faces[0, 0] in own)
    assert after[first] == before[first] | {*late[:2]}
    assert all(after[one] == own for one, own in before.items() if one != first)
    assert min(set(after) - set(before)) > max(before)


def test_an_id_is_never_used_again(store, faces):
    update_clusters(store)
    newest = max(members(store))
    store.database.run("DELETE FROM faces")
    update_clusters(store)
    assert members(store) == {} == dict(store.database.rows("SELECT id, made FROM clusters"))
    fill(store, vector_library.people(1, 2, seed=9))
    update_clusters(store)
    assert min(members(store)) == newest + 1


def test_a_cluster_is_named_at_once_and_undone(store, faces):
    update_clusters(store)
    before = members(store)
    one = next(one for one, own in before.items() if faces[2, 0] in own)
    assert name_cluster(store, one, "Ann") == 3
    assert {face.id for face in store.faces() if face.name == "Ann"} == before[one]
    assert one not in members(store)
    with pytest.raises(LibraryError, match=f"all faces of cluster {one} have a name"):
        get_cluster(store, one)
    # Named faces take no part: a later face of Ann is suggested, not clustered with them.
    fill(store, ROWS[13:14])
    assert update_clusters(store).joined == 0
    undo(store)
    assert members(store) == before
    assert update_clusters(store).joined == 1


def test_a_name_leaves_out_faces_that_are_rejected_or_ignored(store, faces):
    update_clusters(store)
    one = next(one for one, own in members(store).items() if faces[1, 0] in own)
    name_faces(store, "Ann", faces[0].tolist())
    reject(store, [int(faces[1, 0])], "Ann")
    ignore_faces(store, [int(faces[1, 1])])
    assert name_cluster(store, one, "Ann") == 1
    assert store.faces([int(faces[1, 2])])[0].name == "Ann"
    # For somebody else the rejection does not count.
    assert name_cluster(store, one, "Bo") == 2 and ignored_faces(store) == set()


def test_a_cluster_is_ignored_and_new_faces_of_it_stay_out_of_sight(store, faces):
    update_clusters(store)
    before = members(store)
    one = next(one for one, own in before.items() if faces[0, 0] in own)
    assert ignore_cluster(store, one) == 3
    assert one not in members(store)
    [late] = fill(store, ROWS[3:4])
    assert update_clusters(store).joined == 1
    [hidden] = list_clusters(store, ignored=True)
    assert (hidden.id, hidden.ignored, set(hidden.faces)) == (one, True, before[one] | {late})
    assert get_cluster(store, one).ignored
    assert unignore_cluster(store, one) == 3
    assert members(store)[one] == before[one] | {late}
    undo(store)
    undo(store)
    assert ignored_faces(store) == set()
    # A name for all of an ignored cluster names all of it.
    ignore_cluster(store, one)
    assert name_cluster(store, one, "Ann") == 4 and ignored_faces(store) == set()


def test_faces_are_split_off_and_stay_apart_until_it_is_undone(store, faces):
    update_clusters(store)
    before = members(store)
    one = next(one for one, own in before.items() if faces[0, 0] in own)
    moved = int(faces[0, 1])
    new = split_cluster(store, one, [moved])
    assert new > max(before)
    assert get_cluster(store, new).faces == (moved,)
    assert members(store)[one] == before[one] - {moved}
    update_clusters(store)
    assert get_cluster(store, new).faces == (moved,)
    assert list_statements(store)[0].said == (("in another cluster", 1),)
    undo(store)
    assert members(store) == before
    with pytest.raises(LibraryError, match=f"there is no cluster {new}|all faces"):
        get_cluster(store, new)


def test_wrong_clusters_and_faces_are_errors(store, faces):
    update_clusters(store)
    one = next(one for one, own in members(store).items() if faces[0, 0] in own)
    with pytest.raises(LibraryError, match="there is no cluster 99"):
        name_cluster(store, 99, "Ann")
    with pytest.raises(LibraryError, match=f"face {faces[1, 0]} is not in cluster {one}"):
        split_cluster(store, one, [int(faces[1, 0])])
    for some in (faces[0].tolist(), []):
        with pytest.raises(LibraryError, match="give some of its 3 faces"):
            split_cluster(store, one, some)


def test_faces_of_one_photo_and_without_detail_are_not_clustered(store):
    rows = vector_library.people(2, 3)
    ids = fill(store, rows, photos=[0, 0, 1, 2, 3, 4])
    store.database.run("UPDATE faces SET quality = 0.05 WHERE id = ?", (ids[5],))
    done = update_clusters(store)
    assert (done.faces, done.without_detail, done.alone) == (5, 1, 1)
    assert sorted(map(len, members(store).values())) == [2, 2]
    for own in members(store).values():
        assert not own >= {ids[0], ids[1]}


def test_the_clearest_face_is_first_and_small_clusters_are_left_out(store, faces):
    update_clusters(store)
    store.database.run("UPDATE faces SET quality = 0.95 WHERE id = ?", (int(faces[0, 2]),))
    name_faces(store, "Bo", [int(faces[4, 0]), int(faces[4, 1])])
    found = list_clusters(store)
    assert [len(one.faces) for one in found] == [3, 3, 3, 3]
    assert next(one for one in found if faces[0, 0] in one.faces).faces[0] == faces[0, 2]
    assert len(list_clusters(store, smallest=1)) == 5 and list_clusters(store, smallest=4) == []
    unname_faces(store, [int(faces[4, 0])])
    assert len(list_clusters(store)) == 5


def test_an_embedder_without_a_threshold_needs_a_distance(store):
    fill(store, ROWS, OTHER)
    with pytest.raises(LibraryError, match="no distance was measured for its embedder other"):
        update_clusters(store)
    assert update_clusters(store, 0.5).new_clusters == 6


def test_a_library_without_faces(store):
    fill(store, ROWS[:1])
    store.database.run("DELETE FROM faces")
    assert update_clusters(store).faces == 0 and list_clusters(store) == []
