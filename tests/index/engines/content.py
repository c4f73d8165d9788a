"""Whatever is changed in whatever order, the server has what the library has."""

from __future__ import annotations

import threading
import time
import uuid

import numpy as np
import pytest

from facehash.index.engines.base import (
    NO_GENERATION,
    ForeignIndexError,
    LostRaceError,
)
from tests.index.engines.engine import (
    CODES,
    SPACES,
    VECTORS,
    Library,
    assert_content,
    codes_of_people,
    name_of,
    nothing,
    removed,
)

each_space = pytest.mark.parametrize("space", SPACES, ids=name_of)


def need(engine, space):
    if space not in engine.spaces:
        pytest.skip(f"this engine has no {name_of(space)}")


def filled(place, space, faces=120, **options):
    """Return an index that a first build has filled, and its library."""
    library = Library(space)
    library.change(add=faces)
    index = place.connect(space, **options)
    index.rebuild(NO_GENERATION, library.generation, library.everything())
    return index, library


class Content:
    def test_an_index_starts_without_a_generation(self, engine, place):
        index = place.connect(CODES)
        assert index.generation() == NO_GENERATION
        assert len(index) == 0
        assert index.server()
        candidates = index.search(Library(CODES).fresh_rows(2), 5)
        assert candidates.generation == NO_GENERATION
        assert (candidates.ids == -1).all()

    @each_space
    def test_random_changes(self, engine, place, space):
        need(engine, space)
        index, library = filled(place, space)
        assert_content(engine, index, library)
        for _ in range(10):
            counts = dict(
                zip(("add", "update", "remove"), library.random.integers(0, 25, 3), strict=True)
            )
            index.apply(*library.change(**{name: int(n) for name, n in counts.items()}))
        assert_content(engine, index, library)
        assert library.recall(index, library.queries(40)) >= engine.recall
        assert index.bytes() > 0
        other = place.connect(space)
        assert_content(engine, other, library)

    @each_space
    def test_a_build_of_nothing_and_the_removal_of_everything(self, engine, place, space):
        need(engine, space)
        library = Library(space)
        index = place.connect(space)
        index.rebuild(NO_GENERATION, 0, iter(()))
        assert_content(engine, index, library)
        index.apply(*library.change(add=7))
        assert_content(engine, index, library)
        query = library.queries(2)[:1]
        index.apply(*library.change(remove=7))
        assert_content(engine, index, library)
        assert (index.search(query, 3).ids == -1).all()

    def test_fewer_faces_than_asked_for(self, engine, place):
        index, library = filled(place, CODES, faces=3)
        queries = np.array(list(library.rows.values()))
        ids = index.search(queries, 50).ids
        for face, found in zip(library.rows, ids, strict=True):
            assert face in found

    def test_the_same_changes_again_change_nothing(self, engine, place):
        index, library = filled(place, CODES)
        base, to, added, gone = library.change(add=20, update=10, remove=10)
        index.apply(base, to, added, gone)
        with pytest.raises(LostRaceError):
            index.apply(base, to, added, gone)
        assert_content(engine, index, library)
        library.generation += 1
        index.apply(to, to + 1, added, gone)
        assert_content(engine, index, library)

    def test_a_generation_without_changes(self, engine, place):
        index, library = filled(place, CODES)
        library.generation = 9
        index.apply(1, 9, nothing(CODES), removed([], 9))
        assert_content(engine, index, library)

    def test_unknown_faces_are_removed_without_an_error(self, engine, place):
        index, library = filled(place, CODES)
        base, to, added, _ = library.change(add=1)
        index.apply(base, to, added, removed([7_000, 2**62], to))
        assert_content(engine, index, library)

    @pytest.mark.parametrize("base", [0, 2, NO_GENERATION])
    def test_another_base_is_refused(self, engine, place, base):
        index, library = filled(place, CODES)
        other = Library(CODES, seed=5)
        _, _, added, gone = other.change(add=5)
        with pytest.raises(LostRaceError) as caught:
            index.apply(base, 7, added, gone)
        assert "\n" not in str(caught.value)
        with pytest.raises(LostRaceError):
            index.rebuild(base, 7, other.everything())
        assert_content(engine, index, library)

    def test_two_writers_lose_nothing(self, engine, place):
        index, library = filled(place, CODES, faces=30)
        lost = []

        def write(writer):
            own = place.connect(CODES)
            random = Library(CODES, seed=writer)
            for turn in range(10):
                while True:
                    base = own.generation()
                    row = random.fresh_rows(1)
                    face = np.array([1000 * writer + turn])
                    gone = [] if turn % 3 else [1000 * writer + turn - 1]
                    to = np.full(1, base + 1)
                    try:
                        own.apply(
                            base, base + 1, type(added)(face, row, to), removed(gone, base + 1)
                        )
                    except LostRaceError:
                        lost.append(writer)
                        continue
                    break
                expected[writer][int(face[0])] = row[0]
                for other in gone:
                    expected[writer].pop(other, None)

        added = nothing(CODES)
        expected = {1: {}, 2: {}}
        writers = [threading.Thread(target=write, args=(writer,)) for writer in expected]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        library.rows |= expected[1] | expected[2]
        library.generation += 20
        assert_content(engine, index, library)

    def test_the_old_content_is_searched_during_a_rebuild(self, engine, place):
        index, library = filled(place, CODES)
        reader = place.connect(CODES)
        new = Library(CODES, seed=3)
        new.change(add=150)

        def batches():
            for batch in new.everything():
                assert library.recall(reader, library.queries()) >= engine.recall
                assert len(reader) == len(library.rows)
                yield batch
            assert library.recall(reader, library.queries()) >= engine.recall

        new.generation = 8
        index.rebuild(library.generation, 8, batches())
        for one in (index, reader):
            assert_content(engine, one, new)
            assert new.recall(one, new.queries()) >= engine.recall

    def test_a_rebuild_may_go_back(self, engine, place):
        index, library = filled(place, CODES)
        library.generation = 12
        index.apply(1, 12, nothing(CODES), removed([], 12))
        library.generation = 4
        index.rebuild(12, 4, library.everything())
        assert_content(engine, index, library)

    def test_an_interrupted_rebuild_leaves_the_old_content(self, engine, place):
        index, library = filled(place, CODES)

        def batches():
            yield from Library(CODES, seed=4).everything()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            index.rebuild(library.generation, 2, batches())
        assert_content(engine, place.connect(CODES), library)
        index = place.connect(CODES)
        index.apply(*library.change(add=5))
        index.rebuild(library.generation, library.generation, library.everything())
        assert_content(engine, index, library)

    def test_a_rebuild_loses_the_race(self, engine, place):
        index, library = filled(place, CODES)
        other = place.connect(CODES)

        def batches():
            yield from Library(CODES, seed=4).everything()
            other.apply(*library.change(add=3))

        with pytest.raises(LostRaceError):
            index.rebuild(library.generation, 7, batches())
        assert_content(engine, index, library)
        index.apply(*library.change(add=3))
        assert_content(engine, index, library)

    def test_drop_deletes_it_all(self, engine, place):
        index, _ = filled(place, CODES)
        index.drop()
        again = place.connect(CODES)
        assert again.generation() == NO_GENERATION
        assert len(again) == 0
        assert engine.content(again) == {}

    def test_another_embedder_or_other_codes_are_refused(self, engine, place):
        index, library = filled(place, CODES)
        for space, made_by in ((CODES, "dlib"), (SPACES[2], "sface"), (VECTORS, "sface")):
            if space not in engine.spaces:
                continue
            with pytest.raises(ForeignIndexError) as caught:
                place.connect(space, made_by=made_by)
            assert caught.value.same_library
            assert "\n" not in str(caught.value)
        assert_content(engine, index, library)
        made_anew = place.connect(SPACES[2], made_by="dlib", again=True)
        assert made_anew.generation() == NO_GENERATION
        assert len(made_anew) == 0
        with pytest.raises(ForeignIndexError):
            place.connect(CODES)

    def test_replacing_keeps_an_index_of_the_same_identity(self, engine, place):
        _, library = filled(place, CODES)
        assert_content(engine, place.connect(CODES, again=True), library)

    def test_another_library(self, engine, place):
        index, library = filled(place, CODES)
        other_id = uuid.uuid4().hex
        if not engine.many_libraries:
            for again in (False, True):
                with pytest.raises(ForeignIndexError) as caught:
                    place.connect(CODES, library=other_id, again=again)
                assert not caught.value.same_library
            assert_content(engine, index, library)
            return
        other = place.connect(CODES, library=other_id)
        second = Library(CODES, seed=9)
        second.change(add=11)
        other.rebuild(NO_GENERATION, second.generation, second.everything())
        for one, its in ((index, library), (other, second)):
            assert_content(engine, one, its)
        index.drop()
        assert_content(engine, other, second)

    @pytest.mark.full
    @pytest.mark.timeout(1200)
    def test_a_hundred_thousand_codes(self, engine, place, record_property):
        space = CODES
        library = Library(space)
        rows, queries = codes_of_people(library.random, 100_000)
        library.change(add=100_000, rows=rows)
        index = place.connect(space, timeout=60)
        start = time.monotonic()
        index.rebuild(NO_GENERATION, library.generation, library.everything(5_000))
        built = time.monotonic() - start
        recall = library.recall(index, queries)
        start = time.monotonic()
        for query in queries[:50]:
            index.search(query[None], 20)
        searched = time.monotonic() - start
        record_property("seconds_to_build", built)
        record_property("recall", recall)
        print(
            f"\n{index.server()}: built in {built:.1f} s, {index.bytes() / 1e6:.1f} MB, "
            f"Recall@10 {recall:.4f}, {searched * 20:.1f} ms per query"
        )
        assert recall >= engine.recall
        assert len(index) == 100_000
