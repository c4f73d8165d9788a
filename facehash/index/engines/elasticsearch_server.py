"""Requests to Elasticsearch, with errors of one line."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import elasticsearch
import numpy as np

from facehash.index.engines.address import Address
from facehash.index.engines.base import EngineError, UnreachableEngineError
from facehash.vectors import Ids

_USUAL_PORT = 9200
_OLDEST = (8, 15)
API_KEY = "api_key"
# Writes may take this many times as long as searches.
_WRITES = 6


class Missing(EngineError):
    """There is no such index."""


class Taken(EngineError):
    """The index exists, or the document is no longer the one that was read."""


class Server:
    """A connection to an Elasticsearch server or cluster."""

    def __init__(self, address: Address) -> None:
        """Prepare a connection; the first request opens it.

        Args:
            address: With its password.
        """
        self._address = address
        secure = address.scheme.endswith("+https")
        host = f"[{address.host}]" if ":" in address.host else address.host or "127.0.0.1"
        options: dict[str, Any] = {}
        if address.password and address.user == API_KEY:
            options["api_key"] = address.password
        elif address.password and address.user:
            options["basic_auth"] = (address.user, address.password)
        if "ca" in address.options:
            if not Path(address.options["ca"]).is_file():
                raise EngineError(f"{address}: no file of certificates {address.options['ca']}")
            options["ca_certs"] = address.options["ca"]
        # Its warnings of failures would be printed beside the error that says the same.
        logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)
        try:
            self._client = elasticsearch.Elasticsearch(
                f"http{'s' * secure}://{host}:{address.port or _USUAL_PORT}",
                request_timeout=address.timeout,
                max_retries=0,
                retry_on_timeout=False,
                **options,
            )
        except (ValueError, OSError) as error:
            raise EngineError(f"{address}: {address.without_secret(error)}") from None
        self._slow = self._client.options(request_timeout=_WRITES * address.timeout)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def version(self) -> str:
        """Return the version, such as ``"8.19.0"``."""
        try:
            answer = self._ask(self._client.info)
            return str(answer["version"]["number"])
        except UnreachableEngineError:
            raise
        except EngineError:
            # A server of few modules does not answer there.
            answer = self._ask(
                self._client.nodes.info, node_id="_local", filter_path="nodes.*.version"
            )
            return str(next(iter(answer["nodes"].values()))["version"])

    def check_version(self) -> None:
        """Refuse a server without vectors of bits.

        Raises:
            EngineError: It is older than 8.15.
        """
        version = self.version()
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise EngineError(
                f"{self._address}: Elasticsearch {version} is too old, 8.15 or later is needed"
            )

    def indices(self, name: str) -> dict[str, Any]:
        """Return the indices of a name, an alias or a pattern, with their mappings."""
        try:
            found = self._ask(self._slow.indices.get_mapping, index=name)
        except Missing:
            return {}
        return dict(found)

    def create(
        self,
        index: str,
        mappings: Mapping[str, Any],
        settings: Mapping[str, Any],
        aliases: Sequence[str],
    ) -> None:
        """Make an index.

        Raises:
            Taken: There is one of this name.
        """
        self._ask(
            self._slow.indices.create,
            index=index,
            mappings=mappings,
            settings={"index": settings},
            aliases={alias: {} for alias in aliases},
        )

    def delete(self, indices: Sequence[str]) -> None:
        """Delete indices; those that do not exist are ignored."""
        if indices:
            self._ask(self._slow.indices.delete, index=sorted(indices), ignore_unavailable=True)

    def delete_quietly(self, index: str, reason: BaseException) -> None:
        """Delete what a failure has left, unless the failure is that nobody answers."""
        if isinstance(reason, UnreachableEngineError):
            return
        try:
            self.delete([index])
        except EngineError:
            pass  # the next rebuild deletes it

    def move_alias(self, alias: str, to: str, old: str | None) -> None:
        """Give an alias to an index and delete the index that had it, in one step."""
        actions: list[dict[str, Any]] = [{"add": {"index": to, "alias": alias}}]
        if old is not None:
            actions.append({"remove_index": {"index": old}})
        self._ask(self._slow.indices.update_aliases, actions=actions)

    def refresh(self, index: str) -> None:
        """Let searches see what was written."""
        self._ask(self._slow.indices.refresh, index=index)

    def get(self, index: str, key: str) -> dict[str, Any] | None:
        """Return a document as it is at this moment, or None.

        Raises:
            Missing: There is no such index.
        """
        answer = self._ask(self._client.options(ignore_status=404).get, index=index, id=key)
        if "error" in answer:
            raise Missing(f"{self._address}: no index {index}")
        return dict(answer) if answer["found"] else None

    def put(self, index: str, key: str, content: Mapping[str, Any], **expected: int) -> Any:
        """Write a document of an index that exists.

        Args:
            index: Name of the index.
            key: Id of the document.
            content: The document.
            **expected: `if_seq_no` and `if_primary_term` of the document that it replaces.

        Raises:
            Taken: The document is another one.
            Missing: There is no such index.
        """
        return self._ask(
            self._slow.index,
            index=f"{index}.writable",
            id=key,
            document=content,
            require_alias=True,
            **expected,
        )

    def put_if_absent(self, index: str, key: str, content: Mapping[str, Any]) -> None:
        """Write a document unless it exists."""
        try:
            self._ask(
                self._slow.index,
                index=f"{index}.writable",
                id=key,
                document=content,
                require_alias=True,
                op_type="create",
            )
        except Taken:
            pass

    def bulk(self, alias: str, lines: Sequence[str]) -> None:
        """Write and delete documents; those that are newer on the server stay.

        Args:
            alias: Of the index.
            lines: Operations with their documents, as JSON.

        Raises:
            Missing: There is no such index.
        """
        answer = self._ask(
            self._slow.bulk,
            index=alias,
            operations=lines,
            require_alias=True,
            filter_path="errors,items.*.status,items.*.error",
        )
        if not answer["errors"]:
            return
        for item in answer["items"]:
            (result,) = item.values()
            error = result.get("error")
            # 409: the server has a newer version of it.
            if error is not None and result["status"] != 409:
                raise self._failure(result["status"], error.get("type", ""), error.get("reason"))

    def search(self, index: str, queries: Sequence[Mapping[str, Any]]) -> list[Ids]:
        """Return the ids that each query finds."""
        searches: list[Mapping[str, Any]] = []
        for query in queries:
            searches += [{"allow_partial_search_results": False}, query]
        answer = self._ask(
            self._client.msearch,
            index=index,
            searches=searches,
            filter_path="responses.status,responses.error,responses.hits.hits._id",
        )
        found = []
        for response in answer["responses"]:
            if "error" in response:
                error = response["error"]
                raise self._failure(response["status"], error.get("type", ""), error.get("reason"))
            hits = response.get("hits", {}).get("hits", ())
            found.append(np.array([int(hit["_id"]) for hit in hits], np.int64))
        return found

    def read(
        self, index: str, query: Mapping[str, Any], fields: Sequence[str], count: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the fields of all documents of a query, in blocks, by the first field."""
        after: dict[str, Any] = {}
        while True:
            answer = self._ask(
                self._slow.search,
                index=index,
                query=query,
                docvalue_fields=list(fields),
                sort=[fields[0]],
                size=count,
                source=False,
                allow_partial_search_results=False,
                filter_path="hits.hits.fields,hits.hits.sort",
                **after,
            )
            hits = answer.get("hits", {}).get("hits", [])
            if not hits:
                return
            yield [hit["fields"] for hit in hits]
            after = {"search_after": hits[-1]["sort"]}

    def count(self, index: str, query: Mapping[str, Any]) -> int:
        """Return the number of documents of a query."""
        return int(self._ask(self._slow.count, index=index, query=query)["count"])

    def bytes(self, index: str) -> int:
        """Return the size of an index on the disks, with its replicas."""
        answer = self._ask(self._slow.indices.segments, index=index)
        return sum(
            segment["size_in_bytes"]
            for each in answer["indices"].values()
            for copies in each["shards"].values()
            for copy in copies
            for segment in copy["segments"].values()
        )

    def repositories(self) -> list[str] | None:
        """Return the names of the cluster's snapshot repositories, None if they are not shown."""
        try:
            return sorted(self._ask(self._slow.snapshot.get_repository))
        except UnreachableEngineError:
            raise
        except EngineError:
            return None

    def _ask(self, request: Callable[..., Any], **arguments: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", elasticsearch.ElasticsearchWarning)
                answer = request(**arguments)
        except elasticsearch.UnsupportedProductError:
            raise EngineError(
                f"{self._address}: the server is not Elasticsearch (OpenSearch is not supported)"
            ) from None
        except elasticsearch.ApiError as error:
            raise self._api_failure(error) from None
        except elasticsearch.SSLError as error:
            raise UnreachableEngineError(
                f"{self._address}: no TLS connection: {self._address.without_secret(error)}"
            ) from None
        except elasticsearch.ConnectionTimeout:
            raise UnreachableEngineError(f"{self._address}: no answer in time") from None
        except elasticsearch.TransportError as error:
            raise UnreachableEngineError(
                f"{self._address}: {self._address.without_secret(_reason(error))}"
            ) from None
        body = answer.body
        if not isinstance(body, dict):
            raise UnreachableEngineError(f"{self._address}: the answer is not one of Elasticsearch")
        return body

    def _api_failure(self, error: elasticsearch.ApiError) -> EngineError:
        kind, reason = str(error.message), None
        if isinstance(error.body, dict) and isinstance(error.body.get("error"), dict):
            kind = error.body["error"].get("type", kind)
            reason = error.body["error"].get("reason")
        return self._failure(error.meta.status, kind, reason)

    def _failure(self, status: int, kind: str, reason: str | None) -> EngineError:
        text = self._address.without_secret(reason or kind)
        address = self._address
        if status == 401:
            account = f"for {address.user}" if address.user else "without a user"
            return UnreachableEngineError(
                f"{address}: login refused {account}: a user and a password are expected, the "
                "password in the URL or in FACEHASH_ENGINE_PASSWORD"
            )
        if "flood-stage" in text or "read-only" in text:
            return EngineError(f"{address}: the server's disk is full, it takes no writes: {text}")
        if status == 404 and kind == "index_not_found_exception":
            return Missing(f"{address}: {text}")
        if status == 409 or kind == "resource_already_exists_exception":
            return Taken(f"{address}: {text}")
        if status == 403:
            return EngineError(f"{address}: the account may not do this: {text}")
        if status in (429, 502, 503, 504):
            return UnreachableEngineError(f"{address}: the server is busy or not ready: {text}")
        return EngineError(f"{address}: {text}")


def _reason(error: elasticsearch.TransportError) -> str:
    """Return what the system said, as the client only says that there was a failure."""
    found: list[object] = [error]
    for each in found:
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
        found += getattr(each, "errors", ())
        found += [each.__cause__, each.__context__] if isinstance(each, BaseException) else []
        if len(found) > 50:
            break
    return str(error)
