"""A fixture for each server, for the conftest.py of every folder whose tests need one."""

from __future__ import annotations

import pytest

from tests.helpers.servers.elasticsearch import ElasticsearchServer
from tests.helpers.servers.postgresql import PostgreSQLServer
from tests.helpers.servers.redis import RedisServer


def running(server):
    """Start a server for a fixture, and end it after its last test."""
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgresql_server():
    yield from running(PostgreSQLServer())


@pytest.fixture(scope="session")
def elasticsearch_server():
    yield from running(ElasticsearchServer())


@pytest.fixture(scope="session")
def redis_server():
    yield from running(RedisServer())
