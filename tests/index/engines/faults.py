"""A server that does not do as it should is an error in one line, in time, without a password."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from facehash.index.engines.base import EngineError, UnreachableEngineError
from facehash.index.engines.connect import connect
from tests.helpers.servers.base import free_port
from tests.helpers.servers.proxy import CuttingProxy
from tests.index.engines.content import filled
from tests.index.engines.engine import CODES, assert_content


def check_message(error, server):
    text = str(error)
    assert "\n" not in text
    assert f"127.0.0.1:{server.port}" in text or "127.0.0.1" in text
    for secret in (server.password, "not the s3cret", "not%20the%20s3cret"):
        assert secret is None or secret not in text


class Faults:
    def test_nobody_listens(self, engine, place):
        start = time.monotonic()
        with pytest.raises(UnreachableEngineError) as caught:
            place.connect(CODES, port=free_port(), timeout=2)
        assert time.monotonic() - start < 4
        check_message(caught.value, engine.server)

    def test_a_server_that_went_away(self, engine, place):
        index, library = filled(place, CODES, timeout=2)
        queries = library.queries(2)
        engine.server.kill()
        for ask in (
            lambda: index.search(queries, 3),
            index.generation,
            lambda: index.apply(*library.change(add=1)),
            index.erase,
        ):
            start = time.monotonic()
            with pytest.raises(UnreachableEngineError) as caught:
                ask()
            assert time.monotonic() - start < 4
            check_message(caught.value, engine.server)
        index.close()

    def test_a_server_that_does_not_answer(self, engine, place):
        index, library = filled(place, CODES, timeout=1)
        with engine.server.paused():
            for ask in (
                lambda: index.search(library.queries(2), 3),
                lambda: place.connect(CODES, timeout=1),
            ):
                start = time.monotonic()
                with pytest.raises(UnreachableEngineError) as caught:
                    ask()
                assert time.monotonic() - start < 3.5
                check_message(caught.value, engine.server)
        assert_content(engine, place.connect(CODES), library)

    def test_a_wrong_password(self, engine, place):
        tried = 0
        for address in engine.wrong_passwords(place.library):
            with pytest.raises(UnreachableEngineError) as caught:
                connect(address, place.identity(CODES))
            check_message(caught.value, engine.server)
            assert "FACEHASH_ENGINE_PASSWORD" in str(caught.value)
            assert (address.user or "password") in str(caught.value)
            tried += 1
        for address in engine.wrong_passwords(place.library):
            with pytest.raises(UnreachableEngineError) as caught:
                connect(replace(address, password=None), place.identity(CODES))
            assert "FACEHASH_ENGINE_PASSWORD" in str(caught.value)
        if not tried:
            pytest.skip("this server asks for no password")

    def test_tls_that_cannot_be(self, engine, place):
        addresses = engine.tls_errors(place.library)
        for address in addresses:
            with pytest.raises(UnreachableEngineError) as caught:
                connect(address, place.identity(CODES))
            check_message(caught.value, engine.server)
            assert any(word in str(caught.value) for word in ("TLS", "SSL", "certificate"))
        if not addresses:
            pytest.skip("this server is not reached by TLS in these tests")

    def test_half_an_answer(self, engine, place):
        _, library = filled(place, CODES)
        queries = library.queries(10)
        with CuttingProxy(engine.server.port) as proxy:
            index = place.connect(CODES, port=proxy.port)
            before = proxy.answered
            whole = index.search(queries, 10)
            total = proxy.answered - before
        for part in (0.05, 0.25, 0.5, 0.75, 0.95):
            with CuttingProxy(engine.server.port) as proxy:
                index = place.connect(CODES, port=proxy.port, timeout=3)
                proxy.cut_after(answered=max(1, int(total * part)))
                start = time.monotonic()
                try:
                    found = index.search(queries, 10)
                except EngineError as error:
                    assert isinstance(error, UnreachableEngineError)
                    assert "\n" not in str(error)
                else:  # it asked again over a new connection
                    for one, other in zip(found.ids, whole.ids, strict=True):
                        assert np.intersect1d(one, other).size >= 10
                assert time.monotonic() - start < 5
                assert proxy.cuts == 1
