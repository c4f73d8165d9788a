import signal
import subprocess
import sys
import time
from typing import Literal

import pytest
import typer

from facehash.command_line import make_app, run
from facehash.errors import InputError, Interrupted


def outcome(capsys, error):
    app = make_app("A command for tests.")

    @app.command()
    def command() -> int | None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run(app, "tool", [])
    return stop.value.code, capsys.readouterr()


def test_bad_input_is_one_line_on_stderr_and_exit_2(capsys):
    missing = FileNotFoundError(2, "No such file or directory", "a.txt")
    for error, line in (
        (InputError("x.npz: wrong\nin two lines"), "tool: x.npz: wrong in two lines\n"),
        (missing, "tool: a.txt: No such file or directory\n"),
    ):
        code, printed = outcome(capsys, error)
        assert (code, printed.err, printed.out) == (2, line, "")


def test_a_missing_choice_is_one_line(capsys):
    app = make_app("A command for tests.")

    @app.command()
    def command(to: Literal["npz", "mat"] = typer.Option()) -> None:
        """Do nothing."""

    with pytest.raises(SystemExit) as stop:
        run(app, "tool", [])
    line = "tool: Missing option '--to'. Choose from: npz, mat (see tool --help)\n"
    assert (stop.value.code, capsys.readouterr().err) == (2, line)


def test_a_bug_keeps_its_traceback_and_exits_70(capsys):
    code, printed = outcome(capsys, ZeroDivisionError("division by zero"))
    assert code == 70 and "Traceback" in printed.err and "this is a bug" in printed.err


def test_ctrl_c_exits_130_with_the_command_that_goes_on(capsys, monkeypatch):
    code, printed = outcome(capsys, Interrupted("stopped after 3 files"))
    line = "tool: stopped after 3 files; continue with: tool\n"
    assert (code, printed.err) == (130, line)
    code, printed = outcome(capsys, KeyboardInterrupt())
    assert (code, printed.err) == (130, "tool: interrupted\n")


@pytest.mark.parametrize(
    "program, started, expected",
    [
        ("train.py", "train.py", "python train.py 'a b' --seed 1"),
        ("train.py", "/else where/train.py", "python '/else where/train.py' 'a b' --seed 1"),
        ("experiments.reproduce", "reproduce.py", "python -m experiments.reproduce 'a b' --seed 1"),
        ("python -m data.prepare", "prepare.py", "python -m data.prepare 'a b' --seed 1"),
        ("facehash", "/bin/facehash", "facehash 'a b' --seed 1"),
    ],
)
def test_the_command_that_goes_on_can_be_pasted(program, started, expected, capsys, monkeypatch):
    app = make_app("A command for tests.")

    @app.command()
    def command(name: str, seed: int = 0, overwrite: bool = False) -> None:
        raise Interrupted("stopped", without=["--overwrite"])

    monkeypatch.setattr(sys, "argv", [started, "a b", "--seed", "1", "--overwrite"])
    with pytest.raises(SystemExit):
        run(app, program)
    assert capsys.readouterr().err == f"{program}: stopped; continue with: {expected}\n"


STOPPABLE = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.{inherited})
from facehash.command_line import make_app, run
from facehash.errors import Interrupted
app = make_app("Test.")
@app.command()
def command() -> None:
    try:
        print("ready", flush=True)
        time.sleep(20)
        print("slept", flush=True)
    except KeyboardInterrupt:
        print("writing", flush=True)
        time.sleep({writing})
        print("written", flush=True)
        raise Interrupted("stopped")
run(app, "tool")
"""


@pytest.fixture
def stoppable():
    """Start a process that writes for a while when it is stopped."""
    processes = []

    def start(writing, inherited="default_int_handler"):
        script = STOPPABLE.format(writing=writing, inherited=inherited)
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_command_write_and_a_second_one_ends_it_at_once(number, code, stoppable):
    process = stoppable(writing=0)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed) == (code, "writing\nwritten\n")
    assert errors == "tool: stopped; continue with: tool\n"

    process = stoppable(writing=20)
    process.send_signal(number)
    assert process.stdout.readline() == "writing\n"
    time.sleep(0.6)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed, errors) == (code, "", "")


def test_signals_at_the_same_time_count_as_one(stoppable):
    process = stoppable(writing=0.3)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=10)
    assert (process.returncode, printed) == (143, "written\n")


def test_an_ignored_signal_stays_ignored(stoppable):
    process = stoppable(writing=0, inherited="SIG_IGN")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "writing\nwritten\n"
    assert process.returncode == 143


def test_any_path_can_be_printed_and_only_our_loggers_are_shown():
    script = """
import logging
from facehash.command_line import make_app, run
app = make_app("Test.")
@app.command()
def command() -> None:
    logging.getLogger("jax").info("greetings")
    for name in ("facehash", "ddh", "dcbh", "data", "experiments", "benchmarks", "tools"):
        logging.getLogger(name).info("ours")
    print("caf\\udce9")
run(app, "tool")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caf\\udce9\n", 7 * "tool: ours\n")
