"""The memory settings of a process that trains."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from facehash.learning.memory import SWITCH, VARIABLES, memory_settings
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="settings of glibc on Linux")

SCRIPT = """
import os, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
from facehash.learning.memory import restart
restart()
import json
json.dump([sys.argv, sys.flags.optimize, os.environ.get("GLIBC_TUNABLES")], sys.stdout)
print()
"""


def plain_environment():
    """Return the environment without settings of memory."""
    return {k: v for k, v in os.environ.items() if not k.startswith(VARIABLES)}


@pytest.fixture
def start(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(*words, standard_input="", **variables):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=plain_environment() | {"PYTHONPATH": str(ROOT)} | variables,
            input=standard_input,
            capture_output=True,
            text=True,
            check=True,
        )
        starts = (tmp_path / "starts").read_text().split()
        (line,) = (line for line in done.stdout.splitlines() if line.endswith("]"))
        return starts, json.loads(line[line.index("[[") :])

    return start


@pytest.mark.parametrize(
    "options", [["-O"], ["-X", "dev", "-O"], ["-Wignore", "-W", "once", "-uO"]]
)
def test_a_script_starts_once_more_in_the_same_process_with_its_arguments(start, options):
    starts, (arguments, optimize, settings) = start(*options, "script.py", "a b", "--name", "-m")
    assert len(starts) == 2 and len(set(starts)) == 1
    assert arguments == ["script.py", "a b", "--name", "-m"] and optimize == 1
    assert settings == memory_settings(plain_environment())["GLIBC_TUNABLES"]


@pytest.mark.parametrize(
    "words, variables",
    [
        (["-m", "script"], {}),
        (["-c", "exec(open('script.py').read())", "script.py"], {}),
        (["-m", "cProfile", "script.py"], {}),
        (["-mcProfile", "script.py"], {}),
        (["-mpdb", "script.py"], {"standard_input": "continue\nquit\n"}),
        (["-", "more"], {"standard_input": SCRIPT}),
        (["script.py"], {SWITCH: "system"}),
        (["script.py"], {"MALLOC_ARENA_MAX": "2"}),
        (["script.py"], {"GLIBC_TUNABLES": "glibc.malloc.check=0"}),
    ],
)
def test_what_was_started_in_another_way_or_has_settings_goes_on_as_it_is(start, words, variables):
    starts, (_, _, settings) = start(*words, **variables)
    assert len(starts) == 1
    assert settings == variables.get("GLIBC_TUNABLES")


def test_training_starts_again():
    command = [sys.executable, "-X", "importtime", "train.py", "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=True
    )
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert names.count("facehash.learning.memory") == 2 and names.count("typer") == 1
    assert "Train a hashing network" in done.stdout


HUGE = """
array = bytearray(b"1") * 2**27
for line in open("/proc/self/smaps"):
    if line.startswith("VmFlags") and "hg" in line.split():
        print("asks for huge pages")
"""


def test_glibc_takes_the_settings():
    libc, version = platform.libc_ver()
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if libc != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip("needs glibc 2.35")
    if not mode.exists() or "[madvise]" not in mode.read_text():
        pytest.skip("the system does not leave huge pages to the program")
    environment, printed = plain_environment(), []
    for settings in ({}, memory_settings(environment)):
        command = [sys.executable, "-c", HUGE]
        done = subprocess.run(
            command, env=environment | settings, capture_output=True, text=True, check=True
        )
        printed.append(bool(done.stdout))
    assert printed == [False, True]
