"""Limits which files a process may open, by Landlock, and its resources, by rlimits.

The process cannot undo these limits. `seccomp.py` limits the system calls that it may make.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cucmd.worker.frames import NO_LIMIT, ProcessLimits
from cucmd.worker.seccomp import missing_filter_reason

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # <linux/prctl.h>

# System calls of Landlock (<linux/landlock.h>), which Linux has since 5.13. glibc has no functions
# for them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# All rights that the first version of Landlock knows. They are enough: the filter in `seccomp.py`
# forbids what later versions added, and every version forbids links across folders.
_FILES = (1 << 13) - 1

_CAPABILITY_VERSION = 0x20080522  # the third, <linux/capability.h>
_CAP_DAC_READ_SEARCH = 1 << 2

_libc = ctypes.CDLL(None, use_errno=True)


def raise_oom_score() -> None:
    """Makes the kernel kill this process and its children before the daemon if memory runs out.

    Call this before `restrict_files_to`, after which the process cannot write to /proc.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        score = int(file.read())
        file.seek(0)
        file.write(str(min(score + 500, 1000)))


def forbid_privileges() -> None:
    """Keeps this process from gaining privileges by exec, being traced, and dumping core."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def drop_capabilities(*, reads: bool) -> None:
    """Drops the capabilities that the process has if root has started the daemon. Raises OSError.

    reads: whether the process keeps the capability to read all files, because its files may belong
        to another user. Landlock limits the capability to the folders of the process.
    """
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, held))
    _, permitted, _, _, permitted_above, _ = struct.unpack("=6I", held)
    if not (permitted or permitted_above):
        return  # as in the systemd unit, whose filter of system calls would refuse `capset`
    kept = permitted & _CAP_DAC_READ_SEARCH if reads else 0
    _checked(_libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


def set_limits(limits: ProcessLimits) -> None:
    """Sets the rlimits of this process, except those that are NO_LIMIT.

    The kernel sends SIGXCPU after `seconds` of processor time, and SIGKILL 5 seconds later.
    """
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    at = NO_LIMIT if limits.seconds == NO_LIMIT else used + limits.seconds
    for limit, soft, hard in (
        (resource.RLIMIT_AS, limits.memory, limits.memory),
        (resource.RLIMIT_CPU, at, at if at == NO_LIMIT else at + 5),
        (resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.descriptors, limits.descriptors),
    ):
        if hard == NO_LIMIT:
            continue
        # A process without privileges may lower a hard limit and never raise it. The service or a
        # container may have set a lower one than ours.
        hard_limit = resource.getrlimit(limit)[1]
        if hard_limit != resource.RLIM_INFINITY:
            resource.setrlimit(limit, (min(soft, hard_limit), min(hard, hard_limit)))
        else:
            resource.setrlimit(limit, (soft, hard))


def missing_protections() -> list[str]:
    """Returns texts about protections that this kernel lacks, and their consequences."""
    missing = []
    if not _has_landlock():
        missing.append(
            "this kernel has no Landlock (Linux 5.13): the processes that read what nodes have sent"
            " can open whatever files the daemon's user can"
        )
    if why := missing_filter_reason():
        missing.append(
            f"{why}: if hostile bytes take over a process that reads what nodes have sent, it can"
            " open connections, start programs, change modes and times of files, and end the daemon"
        )
    return missing


def _has_landlock() -> bool:
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return version > 0


def restrict_files_to(folders: Iterable[Path | str]) -> bool:
    """Lets this process open files below these folders only, and only for reading.

    The process can then make, remove and rename nothing. It may still use descriptors that it gets
    of files elsewhere, but cannot open anything below them. Missing folders are left out.

    Returns False if the kernel has no Landlock. Raises OSError if the kernel refuses.
    """
    if not _has_landlock():
        return False
    attributes = struct.pack("Q", _FILES)
    size = ctypes.c_size_t(len(attributes))
    rules = _checked(_libc.syscall(_CREATE_RULESET, attributes, size, 0))
    try:
        for folder in folders:
            try:
                at = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                is_folder = stat.S_ISDIR(os.fstat(at).st_mode)
                access = _READ_FILE | _READ_DIR if is_folder else _READ_FILE
                rule = struct.pack("=Qi", access, at)
                _checked(_libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
            finally:
                os.close(at)
        forbid_privileges()
        _checked(_libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"a process cannot be confined: {os.strerror(error)}")
    return result
