"""What all commands share: exit codes, errors in one line, stopping, renamed options."""

import io
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand

from facehash.errors import InputError, Interrupted
from facehash.printing import printable, quoted

DONE = 0
NOTHING_FOUND = 1
WRONG_USE = 2
PARTLY_FAILED = 3
BUG = 70
INTERRUPTED = 130
TERMINATED = 143

_SIGNALS_TOGETHER = 0.5
"""Seconds in which signals count as one: a scheduler and its launcher may both deliver it."""

_OUR_LOGGERS = ("facehash", "ddh", "dcbh", "data", "experiments", "benchmarks", "tools")

log = logging.getLogger(__name__)

_running = False


def is_running() -> bool:
    """Return whether this process runs a command by `run`, and is not a program of a user."""
    return _running


def make_app(help_text: str) -> typer.Typer:
    """Make a Typer application that leaves errors and their exit codes to `run`."""
    return typer.Typer(
        help=help_text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def renamed_options(names: Mapping[str, str]) -> type[TyperCommand]:
    """Return a command class that still accepts old option names, with a warning.

    Args:
        names: Old to new name. The old names go in 0.3.0.

    Example:
        >>> command = renamed_options({"--again": "--allow-reindex"})
        >>> app.command(cls=command)(forget)  # doctest: +SKIP
    """

    class Renamed(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            end = args.index("--") if "--" in args else len(args)
            words = [_renamed(word, names) for word in args[:end]]
            return super().parse_args(ctx, words + args[end:])

    return Renamed


def _renamed(word: str, names: Mapping[str, str]) -> str:
    option, equals, value = word.partition("=")
    if option not in names:
        return word
    log.warning(f"{option} is deprecated and will be removed in 0.3.0; use {names[option]}")
    return f"{names[option]}{equals}{value}"


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> NoReturn:
    """Run `app` as a process: print errors in one line and exit with the agreed exit code.

    Args:
        app: An application from `make_app`; the integer result of a command is the exit code.
        program: The name in usage and error lines, for example ``"train.py"``.
        arguments: The command line. Default: that of the process.

    Raises:
        SystemExit: Always. 0 done, 1 nothing found, 2 wrong use or bad input (one line on stderr),
            3 partly failed, 70 a bug (traceback), 130 interrupted (Ctrl-C), 143 terminated
            (SIGTERM). A second signal ends the process at once with the same codes.
    """
    global _running
    _running = True
    _prepare_output(program)
    stopping = _Stopping()
    stopping.begin()
    try:
        _run(app, program, arguments, stopping)
    finally:
        stopping.end()


class _Stopping:
    """Handles SIGINT and SIGTERM alike: the first raises KeyboardInterrupt, a second one exits."""

    def __init__(self) -> None:
        self.code = INTERRUPTED
        self._since: float | None = None
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Handle the signals that this process does not ignore, as under nohup."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._stop)

    def end(self) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since, self.code = now, 128 + number
            raise KeyboardInterrupt
        if now - self._since > _SIGNALS_TOGETHER:
            os._exit(128 + number)


def _run(
    app: typer.Typer, program: str, arguments: list[str] | None, stopping: _Stopping
) -> NoReturn:
    try:
        code = app(args=arguments, prog_name=program, standalone_mode=False)
        if code == INTERRUPTED:  # Typer's result after Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else DONE)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split())  # choices stand on lines of their own
        _fail(program, f"{message} (see {program} --help)", WRONG_USE)
    except (InputError, OSError) as error:
        _fail(program, _one_line(error), WRONG_USE)
    except Interrupted as stop:
        command = _command(program, arguments, stop.without)
        _fail(program, f"{stop}; continue with: {command}", stopping.code)
    except (KeyboardInterrupt, typer.Abort):
        word = "terminated" if stopping.code == TERMINATED else "interrupted"
        _fail(program, word, stopping.code)
    except Exception:
        traceback.print_exc()
        _fail(program, "this is a bug, please report it with the lines above", BUG)


def _command(program: str, arguments: Sequence[str] | None, without: Sequence[str]) -> str:
    """Return the command line of this process, as the user would type it."""
    if program.endswith(".py"):
        started = sys.argv[0] if sys.argv[0].endswith(program) else program
        words = ["python", started]
    elif "." in program and " " not in program:
        words = ["python", "-m", program]
    else:
        words = program.split()
    given = sys.argv[1:] if arguments is None else arguments
    return " ".join(map(quoted, [*words, *(word for word in given if word not in without)]))


def _prepare_output(program: str) -> None:
    """Set up logging, our own loggers at INFO and others at WARNING, and the printing of paths."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter(f"{program}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name need not be valid text.
            stream.reconfigure(errors="backslashreplace")


class _PlainFormatter(logging.Formatter):
    """Removes control characters, which names of files and people may contain, from log lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(_plain, super().format(record).split("\n")))


def _plain(text: str) -> str:
    # A file name that is not valid text is shown by its bytes, as `_prepare_output` does.
    return printable(text.encode("utf-8", "backslashreplace").decode())


def _one_line(error: InputError | OSError) -> str:
    """Return the message of an error in one line, for an operating system error with its file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _fail(program: str, message: str, code: int) -> NoReturn:
    print(f"{program}: {_plain(message)}", file=sys.stderr, flush=True)
    sys.exit(code)
