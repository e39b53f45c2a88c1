"""Shut the calling thread in with landlock, and whatever it starts. Standard library only; Linux.

A supervisor does so in a thread of its own that starts the program, and stays free itself: what is shut in can neither
signal nor trace it.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from .descendants import C_LIBRARY

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
# All that a kernel of this version of the interface can keep a program from doing with files.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_SCOPES_SINCE = 6
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_FOR_READING = _EXECUTE | _READ_FILE | _READ_DIR
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def shut_in(paths: Iterable[tuple[bytes, bool]]) -> None:
    """Leave the calling thread, and whatever it starts, only these paths: (path, is writable) pairs.

    It also loses every capability, so that root is held to it, and can gain none by starting a program. What does not
    exist is left out. Raises OSError when the kernel cannot do it; then nothing must be started.
    """
    version = _version()
    handled = _RIGHTS[min(version, max(_RIGHTS))]
    scopes = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPES_SINCE else 0
    wanted = _Ruleset(handled, 0, scopes)
    # An older kernel refuses fields that it does not know, unless they are left off.
    size = ctypes.sizeof(wanted) if version >= _SCOPES_SINCE else ctypes.sizeof(ctypes.c_uint64)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(size), 0)
    try:
        for path, is_writable in paths:
            with suppress(FileNotFoundError, PermissionError):
                _allow(ruleset, path, handled & ~(_MAKE_CHAR | _MAKE_BLOCK) if is_writable else handled & _FOR_READING)
        _drop_capabilities()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _version() -> int:
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)


def _allow(ruleset: int, path: bytes, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ON_A_FILE
        rule = _PathBeneath(rights, descriptor)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _drop_capabilities() -> None:
    assert C_LIBRARY is not None
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if C_LIBRARY.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or C_LIBRARY.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capabilities could not be dropped")


def _call(number: int, *arguments: object) -> int:
    if C_LIBRARY is None:
        raise OSError(errno.ENOSYS, "landlock is a part of Linux")
    result = int(C_LIBRARY.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
