"""The memory settings of a process that trains."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from facehash.memory import SWITCH, TUNABLES
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="settings of glibc on Linux")

SCRIPT = """
import os, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
from facehash.memory import restart
restart()
import json
json.dump([sys.argv, sys.flags.optimize, os.environ.get("GLIBC_TUNABLES")], sys.stdout)
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(*words, **variables):
        environment = {k: v for k, v in os.environ.items() if k not in ("GLIBC_TUNABLES", SWITCH)}
        environment |= {"PYTHONPATH": str(ROOT)} | variables
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        starts = (tmp_path / "starts").read_text().split()
        return starts, json.loads(done.stdout.splitlines()[-1])

    return start


def test_a_script_starts_once_more_in_the_same_process_with_its_arguments(start):
    starts, (arguments, optimize, settings) = start("-O", "script.py", "a b", "--name", "-m")
    assert len(starts) == 2 and len(set(starts)) == 1
    assert arguments == ["script.py", "a b", "--name", "-m"] and optimize == 1
    assert settings == TUNABLES


@pytest.mark.parametrize(
    "words, variables",
    [
        (["-m", "script"], {}),
        (["-c", "exec(open('script.py').read())", "script.py"], {}),
        (["-m", "trace", "--count", "script.py"], {}),
        (["script.py"], {SWITCH: "no"}),
        (["script.py"], {"GLIBC_TUNABLES": "glibc.malloc.check=0"}),
    ],
)
def test_what_was_started_in_another_way_or_has_settings_goes_on_as_it_is(start, words, variables):
    starts, (_, _, settings) = start(*words, **variables)
    assert len(starts) == 1
    assert settings == variables.get("GLIBC_TUNABLES")


HUGE = """
array = bytearray(b"1") * 2**27
for line in open("/proc/self/smaps_rollup"):
    if line.startswith("AnonHugePages"):
        print(int(line.split()[1]))
"""


def test_glibc_takes_the_settings():
    libc, version = platform.libc_ver()
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if libc != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip("needs glibc 2.35")
    if not mode.exists() or "[madvise]" not in mode.read_text():
        pytest.skip("the system does not leave huge pages to the program")
    kilobytes = []
    for variables in ({}, {"GLIBC_TUNABLES": TUNABLES}):
        environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"} | variables
        command = [sys.executable, "-c", HUGE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        kilobytes.append(int(done.stdout))
    assert kilobytes[1] >= kilobytes[0] + 2**16
