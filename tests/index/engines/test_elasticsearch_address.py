"""What is refused without an Elasticsearch server; a tiny server stands in for others."""

from __future__ import annotations

import http.server
import json
import ssl
import threading

import pytest

pytest.importorskip("elasticsearch")

from facehash.errors import InputError
from facehash.index.engines.address import Address
from facehash.index.engines.base import EngineError, Identity, UnreachableEngineError
from facehash.index.engines.connect import connect
from tests.helpers.servers.certificates import Certificates
from tests.index.engines.engine import CODES

IDENTITY = Identity("0" * 32, CODES, "sface")


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request with the class's status and body."""

    status, body, headers_sent = 200, {"version": {"number": "2.19.0"}}, {}
    seen = []

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def listen():
    servers = []

    def listen(certificate=None, **answer):
        handler = type("Handler", (Answers,), {**answer, "seen": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_address[1], handler

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(url):
    with pytest.raises(InputError) as caught:
        connect(Address.parse(url), IDENTITY)
    assert "\n" not in str(caught.value)
    return caught.value


def test_opensearch_is_refused_by_name_and_by_its_answer(listen):
    error = refusal("opensearch://127.0.0.1:9200")
    assert "OpenSearch is not supported" in str(error)
    port, _ = listen()
    error = refusal(f"elasticsearch://127.0.0.1:{port}")
    assert "not Elasticsearch (OpenSearch is not supported)" in str(error)


def test_options_are_checked():
    assert "index" in str(refusal("elasticsearch://127.0.0.1?indx=exact"))
    assert "exact or hnsw" in str(refusal("elasticsearch://127.0.0.1?index=fast"))
    assert "shards" in str(refusal("elasticsearch://127.0.0.1?shards=0"))
    assert "/nowhere.pem" in str(refusal("elasticsearch+https://127.0.0.1?ca=/nowhere.pem"))


def test_a_user_named_api_key_sends_its_password_as_one(listen):
    port, handler = listen(status=401, body={"error": {"type": "security_exception"}})
    refusal(f"elasticsearch://api_key:abc%3D@127.0.0.1:{port}")
    refusal(f"elasticsearch://ann:abc@127.0.0.1:{port}")
    sent = [authorization for _, authorization in handler.seen]
    assert sent == ["ApiKey abc=", "Basic YW5uOmFiYw=="]


def test_an_answer_that_is_not_json(listen):
    port, _ = listen(body=b"<html>", headers_sent={"X-Elastic-Product": "Elasticsearch"})
    assert isinstance(refusal(f"elasticsearch://127.0.0.1:{port}"), UnreachableEngineError)


def test_only_certificates_of_a_trusted_authority(listen, tmp_path):
    certificates = Certificates(tmp_path / "tls")
    port, handler = listen(certificates.for_host("127.0.0.1"))
    url = f"elasticsearch+https://ann:s3cret@127.0.0.1:{port}"
    for ca in ("", f"?ca={certificates.other_authority}"):
        error = refusal(url + ca)
        assert isinstance(error, UnreachableEngineError)
        assert "TLS" in str(error) and "s3cret" not in str(error)
    assert handler.seen == []
    error = refusal(f"{url}?ca={certificates.authority}")
    assert type(error) is EngineError and "not Elasticsearch" in str(error)
    assert handler.seen
