"""Running the server."""

import os
import socket
import threading
import webbrowser

import uvicorn

from facehash.errors import InputError
from facehash.index.engines.address import is_loopback
from facehash.web.app import create_app
from facehash.web.options import ServeOptions
from facehash.web.threads import make_library

_BACKLOG = 128


def serve(options: ServeOptions, port: int, *, open_browser: bool = False) -> None:
    """Serve a library until the process is interrupted.

    Args:
        options: The library, and how it is served.
        port: TCP port; 0 is any free one.
        open_browser: Open the page in the user's browser.

    Raises:
        InputError: The port is in use, or the address is not of this machine.
        LibraryError: The library is damaged, or the folder is none.
    """
    # Threads of FAISS that wait for each other keep the processor from those that answer. It reads
    # this when the first search imports it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    make_library(options.library)
    with _listen(options.host, port) as listener:
        address = _address(options.host, listener.getsockname()[1])
        print(f"facehash serves {options.library} at {address} (Ctrl-C ends it)", flush=True)
        if not is_loopback(options.host) and not options.proxies:
            print(
                "other machines can reach it: they must give the password or token; without HTTPS "
                "in front, others on the network can read what is sent",
                flush=True,
            )
        config = make_config(options)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        uvicorn.Server(config).run(sockets=[listener])


def make_config(options: ServeOptions) -> uvicorn.Config:
    """Return how the server runs: what proxies say about visitors counts for known proxies only."""
    return uvicorn.Config(
        create_app(options),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=200,
        timeout_graceful_shutdown=3,
        proxy_headers=bool(options.proxies),
        forwarded_allow_ips=list(options.proxies),
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OverflowError:
        raise InputError(f"--port {port}: must be at most 65535") from None
    except OSError as error:
        raise InputError(
            f"{host}:{port}: cannot be listened on ({error.strerror or error}); choose another "
            "--port or --host"
        ) from error
    # Accepted connections inherit it. Otherwise an answer of two parts may wait 40 ms for the
    # confirmation of the first: asyncio sets this only on sockets with an explicit protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"
