"""The `facehash` command, run in this process as a user runs it."""

from __future__ import annotations

import contextlib
import io

import pytest

from facehash import cli
from facehash.command_line import run


def facehash(*words):
    """Return the exit code and what was printed on stdout and stderr; logged lines are not."""
    return command(cli.app, "facehash", *words)


def command(app, program, *words):
    """Run a command line in this process, as `facehash` does."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        run(app, program, [str(word) for word in words])
    return left.value.code, out.getvalue(), err.getvalue()
