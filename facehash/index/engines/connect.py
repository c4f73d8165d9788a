"""Connect to a server by its URL."""

import importlib
from collections.abc import Callable
from typing import NamedTuple, cast

from facehash.errors import InputError, did_you_mean
from facehash.index.engines.address import Address
from facehash.index.engines.base import Identity, RemoteIndex


class Kind(NamedTuple):
    """A kind of server: the module with its `connect`, and the extra with its client."""

    module: str
    extra: str
    client: str  # the module that the extra installs


KINDS: dict[str, Kind] = {
    "postgresql": Kind("postgresql", "postgresql", "psycopg"),
    "postgres": Kind("postgresql", "postgresql", "psycopg"),
    "redis": Kind("redis_lsh", "redis", "redis"),
    "rediss": Kind("redis_lsh", "redis", "redis"),
    "valkey": Kind("redis_lsh", "redis", "redis"),
    "elasticsearch": Kind("elasticsearch_knn", "elasticsearch", "elasticsearch"),
    "elasticsearch+https": Kind("elasticsearch_knn", "elasticsearch", "elasticsearch"),
}
"""By the scheme of a URL."""


def check_scheme(address: Address) -> None:
    """Refuse a kind of server that is not known.

    Raises:
        InputError: The message suggests the nearest one.
    """
    if address.scheme.partition("+")[0] == "opensearch":
        raise InputError(
            f"{address}: OpenSearch is not supported, as the client of Elasticsearch refuses it; "
            "use Elasticsearch, PostgreSQL or Redis"
        )
    if address.scheme not in KINDS:
        raise InputError(
            f"{address}: unknown kind of engine {address.scheme!r}"
            f"{did_you_mean(address.scheme, KINDS)}"
        )


def connect(address: Address, identity: Identity, *, replace: bool = False) -> RemoteIndex:
    """Connect to the index of a library on a server; an empty one is made if there is none.

    Args:
        address: The server, with its password.
        identity: What the rows are.
        replace: Whether an index of this library with another embedder or other codes is deleted
            and made anew.

    Raises:
        InputError: An unknown kind of server or option, or its client is not installed.
        UnreachableEngineError: No usable answer.
        ForeignIndexError: The index there is one of another library, embedder or hasher.
    """
    check_scheme(address)
    kind = KINDS[address.scheme]
    try:
        module = importlib.import_module(f"facehash.index.engines.{kind.module}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != kind.client:
            raise
        raise InputError(
            f"{address}: its client is not installed: pip install 'facehash[{kind.extra}]'"
        ) from error
    make = cast(Callable[..., RemoteIndex], module.connect)
    return make(address, identity, replace=replace)
