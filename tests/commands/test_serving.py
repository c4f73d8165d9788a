import re
import signal
import socket
import subprocess
import sys
import urllib.request

from facehash.web.server import _listen
from tests.conftest import ROOT


def test_other_machines_are_refused_without_a_secret(facehash, library):
    code, out, err = facehash("serve", "--library", library, "--host", "0.0.0.0")
    assert (code, out) == (2, "") and "--password-file FILE, or with --token-file FILE" in err


def test_wrong_use_is_explained_in_one_line(facehash, library, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = facehash("serve", "--library", library, "--port", port)
    assert code == 2 and f"127.0.0.1:{port}: cannot be listened on" in err
    code, _, err = facehash("serve", "--library", library, "--photos", tmp_path / "none")
    assert code == 2 and "none: no such folder" in err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    code, _, err = facehash("serve", "--library", tmp_path / "other")
    assert code == 2 and "neither empty nor a library" in err


def test_the_command_serves_until_it_is_interrupted(library):
    command = [sys.executable, "-m", "facehash", "serve", "--library", str(library), "--port", "0"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]
        with urllib.request.urlopen(address) as answer:
            assert b"Who is this?" in answer.read()
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
    assert (server.returncode, err) == (130, "facehash: interrupted\n")


def test_answers_do_not_wait_for_a_confirmation_of_their_first_part():
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
