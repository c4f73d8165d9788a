"""How a process that trains gets its memory: kept between steps, and in huge pages.

Every training step allocates the same large arrays. By default glibc gives them back to the system
when they are freed, the system clears new pages in the next step, and each page has only 4 KiB.
glibc reads its settings when a process starts, so they have to be in the environment by then.

Importing this module is instant.
"""

import os
import sys

TUNABLES = ":".join(
    (
        "glibc.malloc.hugetlb=1",  # madvise: used where the system allows it, from glibc 2.35 on
        "glibc.malloc.mmap_max=0",  # memory of an own mapping is given back at once
        f"glibc.malloc.trim_threshold={2**36}",
        "glibc.malloc.arena_max=1",  # an array of one thread's arena cannot be reused by others
    )
)
SWITCH = "FACEHASH_HUGE_PAGES"


def memory_settings() -> dict[str, str]:
    """Return the environment variables for a process that trains.

    Returns:
        Nothing if it has its own (``GLIBC_TUNABLES``), if the user wants none
        (``FACEHASH_HUGE_PAGES=no``), or if this is not Linux. Other C libraries ignore them.

    Example:
        >>> environment = os.environ | memory_settings()
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ or SWITCH in os.environ:
        return {}
    return {"GLIBC_TUNABLES": TUNABLES, SWITCH: "yes"}


def restart() -> None:
    """Start the running script again with `memory_settings`, in the same process; call this first.

    Nothing happens the second time. Nor does it under a debugger, a profiler or a notebook: only
    ``python [options] script.py arguments`` is known to start again as it was started.
    """
    settings = memory_settings()
    words = sys.orig_argv[1:]
    options = words[: len(words) - len(sys.argv)]
    plain = words == [*options, *sys.argv] and all(
        word.startswith("-") and word not in ("-m", "-c") for word in options
    )
    if settings and plain and sys.executable:
        os.execve(sys.executable, [sys.executable, *words], os.environ | settings)  # noqa: S606
