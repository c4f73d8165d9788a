"""Commands as a user runs them, in this process; scripts of the checkout and code in a new one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys

import pytest

from facehash import cli
from facehash.command_line import run
from tests.conftest import ROOT


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


def run_script(*words, **environment):
    """Run Python with these words in the root of the checkout; return what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new Python, with further environment variables; it must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
