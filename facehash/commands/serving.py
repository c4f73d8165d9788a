"""``facehash serve``: the page and the API of a library."""

from __future__ import annotations

from pathlib import Path

import typer

from facehash.command_line import DONE
from facehash.commands.arguments import LibraryOption, WeightsOption
from facehash.errors import InputError


def serve(
    library: LibraryOption,
    host: str = typer.Option("127.0.0.1", help="Address to listen on. Default: this machine only."),
    port: int = typer.Option(8765, min=0, help="Port to listen on; 0 is any free one."),
    photos: list[Path] | None = typer.Option(
        None, help="Folder of photos that the page may index; may be repeated."
    ),
    password_file: Path | None = typer.Option(
        None, help="File with the password of the page; needed if other machines can reach it."
    ),
    token_file: Path | None = typer.Option(
        None, help="File with the token of the API (Authorization: Bearer TOKEN)."
    ),
    allow_host: list[str] | None = typer.Option(
        None, metavar="NAME", help="Another name of this machine in addresses; may be repeated."
    ),
    proxy: list[str] | None = typer.Option(
        None,
        metavar="ADDRESS",
        help="A proxy with HTTPS in front of the page: its X-Forwarded headers are believed, and "
        "cookies are sent by HTTPS only; may be repeated.",
    ),
    show_paths: bool = typer.Option(
        False, "--show-paths", help="Show the folders of photos, not only their file names."
    ),
    engine: str | None = typer.Option(
        None, help="Ask this server of the library for candidates (see facehash engine)."
    ),
    open_browser: bool = typer.Option(False, "--open", help="Open the page in a browser."),
    weights_dir: WeightsOption = None,
) -> int:
    """Serve a page to search, name and review the faces of a library, and a JSON API.

    The API is described at /api/v1/openapi.json. Needs: pip install 'facehash[web]'.

    Example: facehash serve --library lib --photos DIR --open
    """
    from facehash.pipeline import pipelines

    try:
        from facehash.web.options import ServeOptions, read_secret
        from facehash.web.server import serve as run_server
    except ImportError as error:
        raise InputError(f"the page needs {error.name}: pip install 'facehash[web]'") from error
    for folder in photos or ():
        if not folder.is_dir():
            raise InputError(f"--photos {folder}: no such folder")
    options = ServeOptions(
        library,
        host,
        read_secret(password_file, "--password-file") if password_file else None,
        read_secret(token_file, "--token-file") if token_file else None,
        tuple(allow_host or ()),
        tuple(proxy or ()),
        tuple(photos or ()),
        show_paths,
        engine,
        pipelines(weights_dir),
    )
    run_server(options, port, open_browser=open_browser)
    return DONE
