"""What every command of this project shares: exit codes, and errors told in one line."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from typing import NoReturn

import typer

from facehash.errors import InputError, Interrupted
from facehash.printing import printable

DONE = 0
NOTHING_FOUND = 1
WRONG_USE = 2
PARTLY_FAILED = 3
BUG = 70
INTERRUPTED = 130

_OUR_LOGGERS = ("facehash", "ddh", "data", "experiments")


def make_app(help_text: str) -> typer.Typer:
    """Make a Typer application that leaves errors and their exit codes to `run`."""
    return typer.Typer(
        help=help_text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> NoReturn:
    """Run `app` as a whole process: print errors as one line and leave with the agreed exit code.

    Args:
        app: An application from `make_app`; a command's integer result is the exit code.
        program: The name in usage and error lines, for example ``"train.py"``.
        arguments: Words of the command line, by default those of the process.

    Raises:
        SystemExit: Always. 0 done, 1 nothing found, 2 wrong use or bad input (one line on stderr),
            3 partly failed, 70 a bug (traceback), 130 interrupted.
    """
    _prepare_output(program)
    try:
        code = app(args=arguments, prog_name=program, standalone_mode=False)
        if code == INTERRUPTED:  # what Typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else DONE)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.TyperException as error:
        _fail(program, f"{error.format_message()} (see {program} --help)", WRONG_USE)
    except (InputError, OSError) as error:
        _fail(program, _one_line(error), WRONG_USE)
    except Interrupted as stop:
        _fail(program, str(stop), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        _fail(program, "interrupted", INTERRUPTED)
    except Exception:
        traceback.print_exc()
        _fail(program, "this is a bug, please report it with the lines above", BUG)


def _prepare_output(program: str) -> None:
    """Let our own loggers speak, others warn, and any path be printed."""
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
    """Lets nothing of a file's or a person's name through to the terminal but its text."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(_plain, super().format(record).split("\n")))


def _plain(text: str) -> str:
    # A file name that is no text is told by its bytes, as `_prepare_output` would.
    return printable(text.encode("utf-8", "backslashreplace").decode())


def _one_line(error: InputError | OSError) -> str:
    """Write an error in one line, an operating system's error with the file it is about."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _fail(program: str, message: str, code: int) -> NoReturn:
    print(f"{program}: {_plain(message)}", file=sys.stderr, flush=True)
    sys.exit(code)
