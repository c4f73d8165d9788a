import subprocess
import sys

import pytest

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


def test_a_bug_keeps_its_traceback_and_exits_70(capsys):
    code, printed = outcome(capsys, ZeroDivisionError("division by zero"))
    assert code == 70 and "Traceback" in printed.err and "this is a bug" in printed.err


def test_ctrl_c_exits_130_with_the_message_of_the_command(capsys):
    code, printed = outcome(capsys, Interrupted("stopped; go on with the same command"))
    assert (code, printed.err) == (130, "tool: stopped; go on with the same command\n")
    code, printed = outcome(capsys, KeyboardInterrupt())
    assert (code, printed.err) == (130, "tool: interrupted\n")


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
