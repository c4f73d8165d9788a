"""``facehash engine``: servers that have an index of a library."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED, make_app
from facehash.commands.arguments import JsonOption, LibraryOption, by_column, print_json
from facehash.errors import InputError
from facehash.library.storage.folder import write_lock
from facehash.printing import counted, printable, quoted

if TYPE_CHECKING:
    from facehash.library.derived.engines import Pushed, Status
    from facehash.library.storage.engines import Engine
    from facehash.library.storage.store import Store

log = logging.getLogger(__name__)

app = make_app("Keep the search index of a library on a server: PostgreSQL, Redis, ...")


@app.command("add")
def add(
    library: LibraryOption,
    url: str = typer.Argument(
        metavar="URL", help="Address of the server, such as postgresql://USER@HOST/DATABASE."
    ),
    name: str | None = typer.Option(
        None, help="Name of the engine in this library. Default: the kind of server."
    ),
    by: str | None = typer.Option(
        None, help="Send embedding or code. Default: codes if the library has them."
    ),
) -> int:
    """Build the index of a library on a server, and keep it up to date from then on.

    The server gets ids and codes or vectors of the faces. A password in the URL is not stored: set
    FACEHASH_ENGINE_<NAME>_PASSWORD for later commands.

    Example: facehash engine add postgresql://me@db.example/faces --library lib
    """
    from facehash.index.engines.address import Address, password_variable
    from facehash.index.engines.connect import KINDS, check_scheme
    from facehash.library.derived.arrays import spaces
    from facehash.library.derived.codes import read_hasher
    from facehash.library.derived.engines import opened, push
    from facehash.library.storage.engines import Engine, check_name, list_engines, register
    from facehash.library.storage.store import Store

    address = Address.parse(url)
    check_scheme(address)
    called = check_name(name or address.scheme.partition("+")[0])
    column = by_column(by)

    def place(one: Address) -> tuple[object, ...]:
        return (KINDS[one.scheme].module, one.host, one.port, one.path)

    with Store.open(library) as store:
        for other in list_engines(store.database):
            if other.name == called:
                raise InputError(
                    f"{printable(library)}: already has an engine {called}; choose another --name"
                )
            known = Address.parse(other.url)
            if known.scheme in KINDS and place(known) == place(address):
                raise InputError(f"{address}: is already the engine {other.name} of this library")
        if column is None:
            settings = store.settings()
            fitted = read_hasher(store.database, settings) is not None
            column = "code" if "code" in spaces(settings, fitted) else "embedding"
        engine = Engine(called, str(address), column)
        given = address.password is not None
        address = address.with_password(called)
        with opened(store, engine, address, replace=True) as index:
            server = index.server()  # before anything is stored
        register(store, engine)
        print(f"{called}: {printable(server)} gets the {_rows(engine)} of the faces")
        if given:
            print(
                f"its password is not stored: later commands need it in {password_variable(called)}"
            )
        try:
            done = push(store, called, address)
        except InputError as error:
            _warn(
                f"engine {called}: added, but its index is not complete: {error}; to continue: "
                f"facehash engine push {called} --library {quoted(library)}"
            )
            return PARTLY_FAILED
        code = _report(called, done, server=str(address))
        return max(code, settle(store, without=called))


@app.command("push")
def push_changes(
    library: LibraryOption,
    name: str | None = typer.Argument(None, help="Name of the engine. Default: all engines."),
) -> int:
    """Bring servers up to date, and erase there what was forgotten.

    Example: facehash engine push --library lib
    """
    from facehash.library.storage.engines import get_engine, list_engines
    from facehash.library.storage.store import Store

    with Store.open(library) as store:
        engines = list_engines(store.database) if name is None else [get_engine(store, name)]
        if not engines:
            return _none(library)
        code = max(_push(store, engine, always=True) for engine in engines)
        return code if name is None else max(code, settle(store, without=name))


@app.command("status")
def status(
    library: LibraryOption,
    as_json: JsonOption = False,
) -> int:
    """Print the servers of a library and how far behind they are. Exit code 3 if one fails.

    Example: facehash engine status --library lib
    """
    from facehash.library.derived import engines as remote
    from facehash.library.storage.engines import get_engine, list_engines
    from facehash.library.storage.store import Store

    code, plain = DONE, []
    with Store.open(library) as store:
        engines = list_engines(store.database)
        if not engines and not as_json:
            return _none(library)
        for engine in engines:
            found: Status | None = None
            why = ""
            try:
                if engine.pending_erase:
                    remote.push(store, engine.name)
                found = remote.status(store, engine)
            except InputError as error:
                code, why = PARTLY_FAILED, str(error)
            engine = get_engine(store, engine.name)
            if engine.pending_erase:
                code = PARTLY_FAILED
            if as_json:
                plain.append(_plain(engine, found, why))
            else:
                print(_line(engine, found, why))
    if as_json:
        print_json({"library": str(library), "engines": plain})
    return code


@app.command("remove")
def remove(
    library: LibraryOption,
    name: str = typer.Argument(help="Name of the engine."),
    keep_index: bool = typer.Option(
        False, "--keep-index", help="Leave the index with the faces on the server."
    ),
) -> int:
    """Delete the index of a library from a server, and no longer update it.

    Example: facehash engine remove postgresql --library lib
    """
    from facehash.index.engines.base import CannotEraseError, EngineError, ForeignIndexError
    from facehash.library.derived.engines import delete
    from facehash.library.storage.engines import get_engine, unregister
    from facehash.library.storage.store import Store

    code = DONE
    with Store.open(library) as store:
        engine = get_engine(store, name)
        if keep_index:
            forgotten = ", also of forgotten ones" if engine.pending_erase else ""
            unregister(store, name)
            print(
                f"removed: {name}; its index with the {_rows(engine)} of faces{forgotten} stays on "
                f"{printable(engine.url)} until it is deleted there"
            )
            return max(code, settle(store))
        try:
            remains = delete(store, engine)
            what = f"its index is deleted from {engine.url}"
        except ForeignIndexError:
            remains, what = "", f"the index on {engine.url} is another library's and stays"
        except CannotEraseError as error:
            code, remains = PARTLY_FAILED, ""
            what = f"its index is deleted from {engine.url}, but not erased from the disk: {error}"
        except EngineError as error:
            raise InputError(
                f"{error}; {name} is not removed, because its index would stay on the server with "
                f"the {_rows(engine)} of the faces; try again later, or use --keep-index"
            ) from error
        unregister(store, name)
        print(printable(f"removed: {name}; {what}"))
        if remains:
            print(printable(remains))
        return max(code, settle(store))


def settle(store: Store, *, without: str | None = None, quiet: bool = False) -> int:
    """Erase on the servers of a library what was forgotten; what fails stays pending.

    Args:
        store: The library.
        without: An engine to skip.
        quiet: Log a failure as a warning and return 0 all the same.

    Returns:
        An exit code, 3 if something stays pending.
    """
    from facehash.library.storage.engines import list_engines

    codes = [
        _push(store, engine, quiet=quiet)
        for engine in list_engines(store.database)
        if engine.name != without and engine.pending_erase
    ]
    return DONE if quiet else max(codes, default=DONE)


def settle_engines(library: Path, *, quiet: bool = False) -> int:
    """Do as `settle` after a command that has written to a library."""
    from facehash.library.storage.store import Store

    with Store.open(library) as store:
        return settle(store, quiet=quiet)


@contextlib.contextmanager
def writing(library: Path, task: str) -> Iterator[Store]:
    """Open a library to write to it, and do as `settle_engines` afterwards; failures are logged.

    Args:
        library: The library.
        task: See `facehash.library.storage.folder.write_lock`.
    """
    from facehash.library.storage.store import Store

    with Store.open(library) as store:
        with write_lock(library, task):
            yield store
        settle(store, quiet=True)


def push_after_index(library: Path) -> None:
    """Bring the servers of a library up to date; log a failure as a warning."""
    from facehash.library.storage.engines import list_engines
    from facehash.library.storage.store import Store

    with Store.open(library) as store:
        for engine in list_engines(store.database):
            _push(store, engine, always=True, quiet=True)


def _push(store: Store, engine: Engine, *, always: bool = False, quiet: bool = False) -> int:
    """Push to an engine, print what was done, and return an exit code."""
    from facehash.library.derived.engines import push
    from facehash.library.storage.engines import get_engine

    try:
        done = push(store, engine.name)
    except InputError as error:
        message = f"engine {engine.name}: not up to date: {error}"
        if get_engine(store, engine.name).pending_erase:
            message += (
                "; forgotten faces are not yet erased there: facehash engine push "
                f"{engine.name} --library {quoted(store.directory)} does it, and so does every "
                "later command that writes to the library"
            )
        _warn(message, quiet)
        return PARTLY_FAILED
    return _report(engine.name, done, silent=not always, quiet=quiet, server=engine.url)


def _report(
    name: str, done: Pushed, *, server: str, silent: bool = False, quiet: bool = False
) -> int:
    """Print what a push has done, and return an exit code."""
    if done.rebuilt:
        print(f"{name}: index built of {counted(done.sent, 'face')}")
    elif done.sent or done.removed:
        print(f"{name}: {counted(done.sent, 'face')} sent, {done.removed:,} removed")
    elif not silent and not quiet:
        print(f"{name}: up to date")
    if done.erased:
        remains = f"; {done.remains}" if done.remains else ""
        print(printable(f"{name}: removed faces are erased from {server}{remains}"))
    if done.cannot_erase:
        _warn(
            f"engine {name}: removed faces are no longer in its index, but they are not erased "
            f"from the server's disk: {done.cannot_erase}",
            quiet,
        )
        return PARTLY_FAILED
    return DONE


def _line(engine: Engine, found: Status | None, why: str) -> str:
    parts = [f"{engine.name}: {engine.url}"]
    if found is None:
        parts.append(f"fails: {why}")
    else:
        parts += [
            found.server,
            f"{counted(found.faces, 'face')} by {engine.by}, {found.bytes / 1e6:,.1f} MB",
            _progress(found),
        ]
        if why:
            parts.append(why)
    if engine.pending_erase:
        parts.append("forgotten faces are not yet erased there")
    return printable("; ".join(parts))


def _progress(found: Status) -> str:
    if found.generation is None:
        return "never filled"
    if found.behind is None:
        return "the next push builds it again"
    return f"{counted(found.behind, 'change')} behind" if found.behind else "up to date"


def _plain(engine: Engine, found: Status | None, why: str) -> dict[str, object]:
    return {
        "name": engine.name,
        "url": engine.url,
        "by": engine.by,
        "server": found and found.server,
        "faces": found and found.faces,
        "generation": found and found.generation,
        "behind": found and found.behind,
        "bytes": found and found.bytes,
        "pending_erase": bool(engine.pending_erase),
        "error": why or None,
    }


def _none(library: Path) -> int:
    print(f"no engines; to add one: facehash engine add URL --library {quoted(library)}")
    return NOTHING_FOUND


def _rows(engine: Engine) -> str:
    return "codes" if engine.by == "code" else "vectors"


def _warn(message: str, quiet: bool = False) -> None:
    if quiet:
        log.warning(message)
    else:
        print(f"facehash: {printable(message)}", file=sys.stderr)
