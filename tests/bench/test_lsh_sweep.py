"""The sweep of LSH settings: its scores against loops, what it recommends, and which libraries."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from facehash.bench.lsh_sweep import (
    Sweep,
    SweptFaces,
    read_library,
    recommend,
    sweep_lsh,
    trade_off,
)
from facehash.bench.lsh_sweep_plot import write_sweep
from facehash.bench.lsh_sweep_table import engine_options, format_sweep
from facehash.bench.queries import Pairs
from facehash.errors import InputError
from facehash.index.buckets import LshIndex
from facehash.index.engines.address import Address
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.vectors import Space, unit_rows
from tests.library.conftest import draw, save

SWEEP = Sweep(tables=(4, 1), bits=(3, 6), probes=(1, 5, 64), recall=0.7, queries=40)


@pytest.fixture(scope="module")
def faces():
    """150 faces of 50 people; a fifth has no name, and each query excludes one more face."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(50), 3)
    rows = rng.normal(size=(50, 12))[people] + 0.5 * rng.normal(size=(150, 12))
    drawn = SweptFaces.of_people(unit_rows(rows.astype(np.float32)), people, 40, seed=1)
    unnamed = rng.permutation(np.setdiff1d(np.arange(150), drawn.queries))[:30]
    people = people.copy()
    people[unnamed] = -1
    more = (drawn.queries + 1) % 150
    excluded = Pairs(np.tile(np.arange(40), 2), np.concatenate([drawn.queries, more]))
    return dataclasses.replace(drawn, people=people, excluded=excluded)


@pytest.fixture(scope="module")
def result(faces):
    return sweep_lsh(faces, SWEEP, shown=False)


def ranked(faces, number, candidates):
    """Return candidates other than the query in the order of their distance, and the distances."""
    own = faces.queries[number]
    distances = 1 - faces.rows[candidates].astype(np.float64) @ faces.rows[own]
    order = np.argsort(distances, kind="stable")
    order = order[candidates[order] != own]
    return candidates[order], distances[order]


def first_is_right(faces, number, nearest):
    """Whether the first named face that counts is of the query's person, as a loop."""
    excluded = faces.excluded.face[faces.excluded.query == number]
    for place in nearest:
        if faces.people[place] >= 0 and place not in excluded:
            return faces.people[place] == faces.people[faces.queries[number]]
    return False


def test_every_setting_is_scored_as_a_loop_over_its_candidates_does(faces, result):
    settings = {(one["tables"], one["bits"], one["probes"]): one for one in result["settings"]}
    # A key of 3 bits has 8 buckets.
    probes = {3: (1, 5, 8), 6: (1, 5, 64)}
    assert list(settings) == [(t, b, p) for b in (3, 6) for t in (1, 4) for p in probes[b]]
    for (tables, bits, count), one in settings.items():
        index = LshIndex.build(faces.rows, np.arange(150), faces.space, tables=tables, bits=bits)
        recalls, right, compared = [], [], []
        candidates_of = index.candidates(faces.rows[faces.queries], count)
        for number, candidates in enumerate(candidates_of):
            near, _ = ranked(faces, number, candidates)
            exact, _ = ranked(faces, number, np.arange(150))
            recalls.append(len(set(near[:10]) & set(exact[:10])) / 10)
            # The search asks for 13 faces: ten, the query, and the two that it excludes.
            right.append(first_is_right(faces, number, near[:12]))
            compared.append(len(candidates))
        assert one["recall@10"] == pytest.approx(np.mean(recalls), abs=1e-4)
        assert one["P@1"] == pytest.approx(np.mean(right), abs=1e-4)
        assert one["compared"] == pytest.approx(np.mean(compared), abs=0.05)
        assert one["most_compared"] == max(compared) and one["queries"] == 40
        assert one["share"] == pytest.approx(one["compared"] / 150, abs=1e-3)
        assert one["bytes"] == index.bytes() and 0 < one["p50_ms"] <= one["p95_ms"]


def test_the_exact_index_and_all_buckets_find_everything(result):
    assert result["exact"]["recall@10"] == 1 and result["exact"]["share"] == 1
    for one in result["settings"]:
        if one["probes"] == 1 << one["bits"]:
            assert one["recall@10"] == 1 and one["P@1"] == result["exact"]["P@1"]
    assert 0.2 < result["exact"]["P@1"] < 1
    least = min(result["settings"], key=lambda one: one["recall@10"])
    assert least["recall@10"] < 0.3


def test_slow_settings_are_measured_with_fewer_queries(faces):
    found = sweep_lsh(faces, dataclasses.replace(SWEEP, seconds=0.0, bits=(3,)), shown=False)
    assert {one["queries"] for one in found["settings"]} == {30}


def setting(milliseconds, recall, **more):
    return {"p50_ms": milliseconds, "recall@10": recall, "bytes": 1, "P@1": None} | more


def test_the_recommended_setting_is_the_fastest_that_reaches_the_recall():
    values = ((3, 0.9), (1, 0.5), (2, 0.4), (5, 0.99), (3, 0.8))
    settings = [setting(milliseconds, recall) for milliseconds, recall in values]
    assert recommend(settings, 0.8) == settings[0]
    assert recommend(settings, 0.95) == settings[3]
    assert recommend(settings, 1) is None
    assert trade_off(settings) == [settings[1], settings[0], settings[3]]


def test_the_recommendation_is_in_the_text_with_its_comparison(result):
    lines = format_sweep(result).splitlines()
    found = result["recommended"]
    [line] = [line for line in lines if line.startswith("recommended  ")]
    assert line.split()[1:4] == [str(found[name]) for name in ("tables", "bits", "probes")]
    assert any(line.startswith("exact index") for line in lines)
    assert lines[-3].startswith("recommended for a recall of 0.7: ")
    exact = result["exact"]["P@1"]
    near = [one for one in result["settings"] if one["P@1"] >= exact - 0.01]
    fastest = min(near, key=lambda one: one["p50_ms"])
    assert f"have a P@1 of {fastest['P@1']:.3f} (exact index {exact:.3f})" in lines[-1]
    faster = result | {"exact": result["exact"] | {"p50_ms": 2 * found["p50_ms"]}}
    assert "\nthe exact index finds all and takes 2.0 times as long\n" in format_sweep(faster)
    slower = result | {"exact": result["exact"] | {"p50_ms": 0.5 * found["p50_ms"]}}
    assert "ms: in this process LSH is not faster at this recall\n" in format_sweep(slower)
    none = result | {"recommended": None}
    assert "no setting reaches a recall of 0.7 (the highest is 1.000)" in format_sweep(none)


def test_the_options_of_an_engine_keep_all_candidates():
    redis_lsh = pytest.importorskip("facehash.index.engines.redis_lsh", reason="needs redis")
    for most, candidates in ((3, 100), (101, 110), (20_311, 21_000), (3_000_000, 1_000_000)):
        one = {"tables": 8, "bits": 12, "probes": 16, "most_compared": most}
        address = Address.parse(f"redis://host:6379/0?{engine_options(one)}")
        address.check_options(redis_lsh._OPTIONS)
        assert address.options == {
            "tables": "8", "bits": "12", "probes": "16", "candidates": str(candidates),
        }  # fmt: skip


def test_the_chart_is_a_picture(result, tmp_path):
    write_sweep(result, tmp_path / "chart.png", "150 faces")
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.width > 1000 and len(np.unique(np.asarray(picture))) > 50


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tables": (0,)}, "--tables: 1 to 256 each, got 0"),
        ({"tables": ()}, "--tables: 1 to 256 each, got none"),
        ({"bits": (8, 25)}, "--bits: 1 to 24 each, got 8, 25"),
        ({"probes": (5000,)}, "--probes: 1 to 4,096 each, got 5000"),
        ({"recall": 95}, "--recall: above 0 and at most 1, got 95"),
        ({"queries": 0}, "--queries must be at least 1, got 0"),
        ({"near_duplicate": -2}, "--near-duplicate: a cosine"),
    ],
)
def test_a_plan_that_cannot_be_measured_is_refused(faces, values, message):
    with pytest.raises(InputError, match=message):
        sweep_lsh(faces, dataclasses.replace(SWEEP, **values), shown=False)


@pytest.fixture
def album(tmp_path):
    """120 photos of 40 people, three of each, two of them nearly equal."""
    for person in range(40):
        image = draw(person).astype(int)
        for number in range(3):
            noise = np.random.default_rng(number).integers(-60, 60, image.shape)
            image = np.clip(image + noise * (number > 0), 0, 255)
            save(tmp_path / "album" / f"P{person}" / f"{number}.png", image.astype(np.uint8))
    return tmp_path / "album"


def test_a_library_of_named_people(album, index, directory):
    index(album, names="folders")
    with Store.open(directory) as store:
        found = read_library(store, Sweep(near_duplicate=2, queries=60))
        photos = dict(store.database.rows("SELECT id, photo_id FROM faces"))
        ids = np.array(sorted(photos))
        names = dict(store.database.rows("SELECT id, person_id FROM faces"))
    assert found.rows.shape == (120, 12) and found.space == Space("cosine", 12)
    assert found.people.tolist() == [names[face] for face in ids.tolist()]
    assert len(set(found.queries.tolist())) == 60 and (np.diff(found.queries) < 0).any()
    for number, place in enumerate(found.queries):
        excluded = found.excluded.face[found.excluded.query == number]
        on_photo = [i for i, face in enumerate(ids) if photos[face] == photos[ids[place]]]
        assert sorted(excluded.tolist()) == on_photo
    measured = sweep_lsh(found, dataclasses.replace(SWEEP, near_duplicate=2), shown=False)
    assert measured["exact"]["P@1"] > 0.9
    json.dumps(measured)


def test_without_names_only_recall_is_measured(album, index, directory):
    index(album)
    with Store.open(directory) as store:
        found = read_library(store, Sweep(queries=50))
    assert found.people is None and len(set(found.queries.tolist())) == 50
    measured = sweep_lsh(found, SWEEP, shown=False)
    assert measured["exact"]["P@1"] is None and measured["exact"]["recall@10"] == 1
    assert "P@1 is not measured" in format_sweep(measured)


def test_a_tiny_library_is_refused(index, directory):
    index(names="folders")
    with Store.open(directory) as store, pytest.raises(LibraryError, match="has 7 faces; --sweep"):
        read_library(store, Sweep())


def test_a_library_of_codes_is_refused(index, directory):
    index(embedder="hamming:12")
    with Store.open(directory) as store, pytest.raises(LibraryError, match="its faces are codes"):
        read_library(store, Sweep())
