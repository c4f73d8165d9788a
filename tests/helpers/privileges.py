"""The rights of an ordinary user, also where the tests run as root, as in containers."""

from __future__ import annotations

import contextlib
import ctypes
import os

_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


@contextlib.contextmanager
def ordinary_rights():
    """Let this thread read and write only what the modes of files and folders allow."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    # Twice effective, permitted, inheritable: what is permitted stays, to be effective again.
    rights = (ctypes.c_uint32 * 6)()
    _check(libc.capget(header, rights))
    before = rights[0]
    rights[0] = before & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    _check(libc.capset(header, rights))
    try:
        yield
    finally:
        rights[0] = before
        _check(libc.capset(header, rights))


def _check(result):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
