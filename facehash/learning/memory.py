"""How a process that trains gets its memory: kept between steps, and in huge pages.

Every training step allocates the same large arrays. By default glibc gives them back to the system
when they are freed, the system clears new pages in the next step, and each page has only 4 KiB.
glibc reads its settings when a process starts, so they have to be in the environment by then.

Importing this module is instant.
"""

import contextlib
import os
import re
import sys
from collections.abc import Mapping

SWITCH = "FACEHASH_MEMORY"
_OF_GLIBC = ("GLIBC_TUNABLES", "MALLOC_")
VARIABLES = (*_OF_GLIBC, SWITCH)
"""Beginnings of the names of variables that decide about memory."""

_SYSTEM, _KEPT = "system", "kept"  # what a user sets to have none of this; what `restart` sets
_FEW = 4  # processors
# Options of Python that a script may have been started with; the values of two follow them.
_OPTIONS, _WITH_VALUE = re.compile("-[bBdEIOPqRsSuvx]+|-[XW].+"), ("-X", "-W")


def memory_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables with which to start a process that trains.

    C libraries other than glibc ignore them.

    Args:
        environment: Variables that the process has anyway.

    Returns:
        An empty dict if these have settings of glibc's memory (``GLIBC_TUNABLES``, ``MALLOC_...``)
        or ``FACEHASH_MEMORY=system``, and on other systems than Linux.

    Example:
        >>> environment = os.environ | memory_settings()
    """
    own = any(name.startswith(_OF_GLIBC) for name in environment)
    if sys.platform != "linux" or own or environment.get(SWITCH) in (_SYSTEM, _KEPT):
        return {}
    settings = {
        "hugetlb": 1,  # asks for huge pages, where the system leaves that to programs; glibc 2.35
        "mmap_max": 0,  # what has a mapping of its own is given back at once
        "trim_threshold": 2**32,  # bytes that are kept at most
    }
    if (os.cpu_count() or 1) <= _FEW:
        # Arrays that one thread has freed are reused by others. Many threads would wait for it.
        settings["arena_max"] = 1
    tunables = ":".join(f"glibc.malloc.{name}={value}" for name, value in settings.items())
    return {"GLIBC_TUNABLES": tunables, SWITCH: _KEPT}


def restart() -> None:
    """Run this script again with `memory_settings`, as the same process; call this first.

    It returns if the settings are there already, and if the script was not started as
    ``python [options] script.py arguments``: a debugger, profiler or notebook would be lost.
    """
    settings = memory_settings()
    if settings and sys.executable and _is_plain(sys.orig_argv[1:]):
        with contextlib.suppress(OSError):
            command = [sys.executable, *sys.orig_argv[1:]]
            os.execve(sys.executable, command, os.environ | settings)  # noqa: S606 (ourselves)


def _is_plain(words: list[str]) -> bool:
    """Return whether Python got a script after options of its own, and nothing else."""
    options, script = words[: len(words) - len(sys.argv)], words[len(words) - len(sys.argv) :]
    if script != sys.argv or sys.argv[0] in ("", "-"):
        return False
    while options:
        option = options.pop(0)
        if option in _WITH_VALUE and options:
            options.pop(0)
        elif not _OPTIONS.fullmatch(option):
            return False
    return True
