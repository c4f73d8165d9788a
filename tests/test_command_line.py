import subprocess
import sys

import pytest
import typer

from facehash.command_line import make_app, run
from facehash.errors import InputError, Interrupted, did_you_mean


def outcome(capsys, error=None, result=None, arguments=()):
    app = make_app("A command for tests.")

    @app.command()
    def command(number: int = typer.Option(1)) -> int | None:
        if error is not None:
            raise error
        return result

    with pytest.raises(SystemExit) as stop:
        run(app, "tool", list(arguments))
    return stop.value.code, capsys.readouterr()


def test_the_result_of_a_command_is_its_exit_code(capsys):
    assert [outcome(capsys, result=result)[0] for result in (None, 3, 1)] == [0, 3, 1]


@pytest.mark.parametrize(
    "error, line",
    [
        (InputError("x.npz: wrong\nin two lines"), "tool: x.npz: wrong in two lines\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a.txt"),
            "tool: a.txt: No such file or directory\n",
        ),
        (OSError("disk on fire"), "tool: disk on fire\n"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(capsys, error, line):
    code, printed = outcome(capsys, error)
    assert (code, printed.err, printed.out) == (2, line, "")


@pytest.mark.parametrize("arguments", [["--nmber", "3"], ["--number", "x"], ["extra"]])
def test_wrong_use_is_one_line_naming_the_help(capsys, arguments):
    code, printed = outcome(capsys, arguments=arguments)
    assert code == 2
    assert printed.err.startswith("tool: ")
    assert printed.err.endswith("(see tool --help)\n")
    assert printed.err.count("\n") == 1


def test_a_bug_keeps_its_traceback_and_exits_70(capsys):
    code, printed = outcome(capsys, ZeroDivisionError("division by zero"))
    assert code == 70
    assert "Traceback" in printed.err
    assert "this is a bug" in printed.err


def test_ctrl_c_exits_130_with_the_message_of_the_command(capsys):
    code, printed = outcome(capsys, Interrupted("stopped; go on with the same command"))
    assert (code, printed.err) == (130, "tool: stopped; go on with the same command\n")
    code, printed = outcome(capsys, KeyboardInterrupt())
    assert (code, printed.err) == (130, "tool: interrupted\n")


def test_help_exits_0(capsys):
    code, printed = outcome(capsys, arguments=["--help"])
    assert code == 0
    assert "--number" in printed.out


def test_an_error_suggests_the_nearest_choice_or_lists_all():
    assert did_you_mean("epoch", ["epochs", "batch"]) == " (did you mean 'epochs'?)"
    assert did_you_mean("zzz", ["b", "a"]) == " (known: a, b)"
    assert did_you_mean("zzz", []) == ""


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
