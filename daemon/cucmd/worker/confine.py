"""Has the kernel limit a process that handles what others have made.

Nothing of it can be undone by the process, nor by what it forks or executes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cucmd.worker.frames import NO_LIMIT, ProcessLimits

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # <linux/prctl.h>

# Landlock, of Linux 5.13 and later: glibc has no functions for it. <linux/landlock.h>
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_A_FILE = _EXECUTE | _READ_FILE
# version of the interface -> what is forbidden of files if no rule allows it: all that it knows
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_BIND_AND_CONNECT, _NETWORK = 0b11, 4  # of TCP; since which version
_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPES = 0b11, 6  # to processes outside

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Has this process killed when `parent` ends, which has started it; now, if it has already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def forbid_privileges() -> None:
    """It gains none by exec, nobody reads its memory by ptrace, and it leaves no core file."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def set_limits(limits: ProcessLimits) -> None:
    """Root is exempt from the number of processes. After `seconds` comes SIGXCPU, then SIGKILL."""
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    at = NO_LIMIT if limits.seconds == NO_LIMIT else used + limits.seconds
    for which, first, last in (
        (resource.RLIMIT_AS, limits.memory, limits.memory),
        (resource.RLIMIT_CPU, at, at if at == NO_LIMIT else at + 5),
        (resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.descriptors, limits.descriptors),
        (resource.RLIMIT_NPROC, limits.processes, limits.processes),
    ):
        if last == NO_LIMIT:
            continue
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            resource.setrlimit(which, (min(first, most), min(last, most)))
        else:
            resource.setrlimit(which, (first, last))


def landlock() -> int:
    """Returns the version of its interface that the kernel has; 0: it has none."""
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(version, 0)


def only_below(folders: Iterable[Path | str]) -> bool:
    """Files may be opened below these folders only, and for reading; nothing may be made, removed
    or renamed, no connection may be opened, and no process outside be signalled. A descriptor that
    comes from elsewhere is of use all the same, but for opening what is below it.

    False: the kernel has no Landlock. Folders that do not exist are left out. Raises OSError.
    """
    if not (version := landlock()):
        return False
    files = _FILES[max(known for known in _FILES if known <= version)]
    attributes = struct.pack(
        "QQQ",
        files,
        _BIND_AND_CONNECT if version >= _NETWORK else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPES else 0,
    )
    size = 24 if version >= _SCOPES else 16 if version >= _NETWORK else 8
    rules = _checked(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    try:
        for folder in folders:
            _allow(rules, folder, _READ & files)
        forbid_privileges()
        _checked(_libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def _allow(rules: int, folder: Path | str, access: int) -> None:
    with suppress(FileNotFoundError):
        at = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(at).st_mode):
                access &= _OF_A_FILE
            rule = struct.pack("=Qi", access, at)
            _checked(_libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
        finally:
            os.close(at)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
