"""A server or a connection that ends at any point leaves nothing that is wrong for good."""

from __future__ import annotations

import numpy as np
import pytest

from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    EngineError,
    LostRaceError,
)
from tests.helpers.servers.proxy import CuttingProxy
from tests.index.engines.content import filled
from tests.index.engines.engine import CODES, Library, assert_content, removed

POINTS = 10


class History:
    """Generations 1 to 8: a first build, changes, a second build at 6, more changes."""

    builds = (1, 6)
    last = 8

    def __init__(self, space):
        library = Library(space)
        self.states = {}
        for generation in range(1, self.last + 1):
            if generation == 1:
                library.change(add=200)
            else:
                library.change(add=20, update=20, remove=20)
            self.states[generation] = dict(library.rows), dict(library.changed)
        self.library = library

    def at(self, generation):
        library = Library(self.library.space)
        library.rows, library.changed = self.states[generation]
        library.generation = generation
        return library

    def push(self, index):
        """Go on from the generation that the index reports, as a pusher does."""
        while (now := index.generation()) < self.last:
            to = now + 1 if now != NO_GENERATION else 1
            new = self.at(to)
            if to in self.builds:
                index.rebuild(now, to, new.everything())
                continue
            changed = [face for face in new.rows if new.changed[face] == to]
            added = Added(
                np.array(changed, np.int64),
                np.array([new.rows[face] for face in changed]),
                np.full(len(changed), to),
            )
            gone = self.states[now][0].keys() - new.rows.keys()
            index.apply(now, to, added, removed(sorted(gone), to))


class Crashes:
    def test_a_restarted_server_has_everything(self, engine, place):
        _, library = filled(place, CODES)
        engine.server.restart()
        index = place.connect(CODES)
        assert_content(engine, index, library)
        index.apply(*library.change(add=2, update=2, remove=2))
        assert_content(engine, index, library)

    @pytest.mark.timeout(1200)
    def test_a_server_killed_at_ten_points_of_a_push(self, engine, place):
        history = History(CODES)
        with CuttingProxy(engine.server.port) as proxy:
            history.push(place.connect(CODES, port=proxy.port))
            total = proxy.sent
        place.connect(CODES).drop()
        reached = []
        for point in range(POINTS):
            with CuttingProxy(engine.server.port) as proxy:
                sent = int(total * (point + 0.5) / POINTS)
                proxy.cut_after(sent=sent, then=engine.server.kill)
                with pytest.raises(EngineError) as caught:
                    history.push(place.connect(CODES, port=proxy.port, timeout=5))
                assert "\n" not in str(caught.value)
            engine.server.ensure_running()
            index = place.connect(CODES)
            reached.append(index.generation())
            history.push(index)
            assert_content(engine, index, history.library)
            assert history.library.recall(index, history.library.queries()) >= engine.recall
            index.drop()
        # Not all at the same place, or nothing would have been tried.
        assert len(set(reached)) > 3

    def test_a_connection_lost_at_ten_points_of_a_change(self, engine, place):
        index, library = filled(place, CODES)
        change = library.change(add=60, update=30, remove=30)
        with CuttingProxy(engine.server.port) as proxy:
            index = place.connect(CODES, port=proxy.port)
            before = proxy.sent
            index.apply(*change)
            total = proxy.sent - before
        assert_content(engine, place.connect(CODES), library)
        for point in range(POINTS):
            change = library.change(add=60, update=30, remove=30)
            base, to, *_ = change
            with CuttingProxy(engine.server.port) as proxy:
                index = place.connect(CODES, port=proxy.port)
                proxy.cut_after(sent=int(total * (point + 0.5) / POINTS))
                try:
                    index.apply(*change)
                except EngineError as error:
                    assert "\n" not in str(error)
            again = place.connect(CODES)
            assert again.generation() in (base, to)
            try:
                again.apply(*change)
            except LostRaceError:
                assert again.generation() == to
            assert_content(engine, again, library)
            assert library.recall(again, library.queries()) >= engine.recall

    def test_erased_rows_are_in_no_file(self, engine, place):
        space = CODES
        library = Library(space, pool=2)
        library.change(add=200, rows=library.fresh_rows(200))
        index = place.connect(space)
        index.rebuild(NO_GENERATION, 1, library.everything())
        first = dict(library.rows)
        index.apply(*library.change(update=40, remove=60, rows=library.fresh_rows(40)))
        gone = [row for face, row in first.items() if library.rows.get(face) is not row]
        assert len(gone) == 100
        interrupted = Library(space, seed=2)
        interrupted.change(add=100, rows=interrupted.fresh_rows(100))

        def batches():
            yield from interrupted.everything()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            index.rebuild(2, 3, batches())
        index = place.connect(space)
        index.rebuild(2, 3, library.everything())
        library.generation = 3
        gone += interrupted.rows.values()
        sentence = index.erase()
        traces = [trace for row in gone for trace in engine.traces(space, row)]
        kept = [trace for row in library.rows.values() for trace in engine.traces(space, row)]
        server = engine.server
        assert server.files_with(kept, engine.log_folders), "the scan recognises no row at all"
        assert server.files_with(traces, engine.log_folders) == []
        assert "\n" not in sentence
        if server.files_with(traces):
            assert sentence
        assert_content(engine, index, library)
        assert library.recall(index, library.queries()) >= engine.recall
