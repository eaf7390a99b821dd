"""Forbids a worker the system calls that it does not need, by a seccomp filter.

Landlock (`confine.py`) only limits which files a process may open. A process that hostile bytes
have taken over could still connect to the daemon's own socket, as the daemon's user; change modes,
owners, times and lengths of files by their path; start children that outlive it; signal, trace and
slow down other processes of its user; and leave memory behind that nobody frees. The filter forbids
all this.

The filter is a short program for the kernel's BPF machine. It runs at each system call and decides:

    any call with the numbers of another processor        the process is killed
    architecture, or of x32
    a call in `_DENIED`                                   EPERM
    a call in `_ALLOWED_WITH`, with another argument      EPERM
    everything else                                       the call is made

A forbidden call returns EPERM and does not end the process, because libraries may try a call and go
on without it. No library makes calls of another architecture.

A process cannot remove its filter. `sendto` and `sendmsg` are allowed, because every socket that a
worker has or can make is connected, and such a socket takes no other address.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
import termios

_libc = ctypes.CDLL(None, use_errno=True)

# For each machine, its number in a filter (<linux/audit.h>), and the position of its system call
# numbers in the tables below.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# For each call, its numbers on x86-64 and on aarch64. aarch64 does not have the oldest calls.
_DENIED: dict[str, tuple[int, int | None]] = {
    # Connections. `socketpair` is below.
    "socket": (41, 198),
    "connect": (42, 203),
    # Threads, children and programs. A child would not be killed together with its parent.
    "clone": (56, 220),
    "clone3": (435, 435),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    # Signals to other processes, and their descriptors. `tgkill` is below.
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    # The memory of other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # Objects that outlive the process, and would take memory until the machine is restarted.
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Memory that RLIMIT_AS does not count.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # Segments, semaphores and queues of other processes, whose numbers can be guessed.
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    # Priorities, by which a process could slow down others.
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    # io_uring, whose operations no filter sees.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Becoming another user. That would also undo PR_SET_PDEATHSIG.
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    # Modes and owners.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    # Lengths.
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    # Times.
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    # Attributes.
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}

# For each call, the arguments that are checked: number of the argument, the bits to compare, and
# the allowed values of these bits. Like the kernel, the filter uses only the lower half of these
# arguments.
_ALL = 0xFFFFFFFF
_ALLOWED_WITH: dict[str, list[tuple[int, int, list[int]]]] = {
    # asyncio wakes itself by a pair of stream sockets. Datagram sockets could send to any path.
    "socketpair": [(0, _ALL, [socket.AF_UNIX]), (1, 0xF, [socket.SOCK_STREAM])],
    # The C library's `getrlimit` uses this for the process itself (0). Any other number could
    # change the limits of another process.
    "prlimit64": [(0, _ALL, [0])],
    # Python uses these for sockets and files. TIOCSTI would type into the daemon's terminal,
    # FIOSETOWN would make the kernel signal other processes, and other requests would change a
    # file's attributes.
    "ioctl": [(1, _ALL, [termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX, termios.TCGETS])],
    # Duplicates and flags. F_SETOWN and F_SETSIG would make the kernel signal other processes.
    "fcntl": [(1, _ALL, [*range(fcntl.F_DUPFD, fcntl.F_SETFL + 1), fcntl.F_DUPFD_CLOEXEC])],
    # PR_SET_NAME, PR_GET_NAME and PR_SET_VMA: names of threads and of memory. PR_SET_PDEATHSIG must
    # stay as it is, since it ends a worker together with the fork server.
    "prctl": [(0, _ALL, [15, 16, 0x53564D41])],
}

# The numbers of all calls in both tables. tests/unit/worker/test_seccomp.py compares them with the
# kernel's headers.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    **_DENIED,
    "socketpair": (53, 199),
    "prlimit64": (302, 261),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prctl": (157, 167),
    "tgkill": (234, 131),
}

_X32 = 0x40000000  # the bit that marks a call of x32; no other numbers are so large

# Instructions (<linux/bpf_common.h>), and the offsets of the values that they load: the number of
# the call at 0, the machine at 4, and the arguments from 16 on with eight bytes each.
_LOAD, _AND, _IS, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # SECCOMP_RET_*, <linux/seccomp.h>

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def missing_filter_reason() -> str | None:
    """Returns why this kernel or machine cannot filter system calls, or None if it can."""
    if _machine() not in _MACHINES:
        return f"no filter of system calls is known for {_machine()}"
    _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None)
    # A kernel that has filters tries to read the program, and reports a bad address.
    if ctypes.get_errno() != errno.EFAULT:
        return "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
    return None


def filter_calls() -> None:
    """Filters the system calls of this process from now on, if the kernel can. Raises OSError.

    Call `confine.forbid_privileges` first. The process must have only one thread.
    """
    if missing_filter_reason():
        return
    content = build_program(_machine(), os.getpid())
    prepared = _Program(len(content) // 8, content)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(prepared), 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def call_numbers(machine: str) -> dict[str, int]:
    """Returns the numbers on this machine of all calls in the tables that the machine has."""
    which = _MACHINES[machine][1]
    numbers = {name: both[which] for name, both in _NUMBERS.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def build_program(machine: str, pid: int) -> bytes:
    """Returns the filter program for the process `pid`. Raises KeyError for an unknown machine."""
    numbers = call_numbers(machine)
    denied = _instruction(_RETURN, _ERROR | errno.EPERM)
    checks = {
        **_ALLOWED_WITH,
        "tgkill": [(0, _ALL, [pid])],  # abort(3) signals its own process
    }
    elf = _MACHINES[machine][0]
    content = (
        _instruction(_LOAD, _MACHINE) + _instruction(_IS, elf, 1, 0) + _instruction(_RETURN, _KILL)
    )
    content += (
        _instruction(_LOAD, _NUMBER)
        + _instruction(_AT_LEAST, _X32, 0, 1)
        + _instruction(_RETURN, _KILL)
    )
    for name, arguments in checks.items():
        checked = b""
        for argument, bits, allowed in arguments:
            checked += _instruction(_LOAD, _ARGUMENTS + 8 * argument) + _instruction(_AND, bits)
            for place, value in enumerate(allowed):
                checked += _instruction(_IS, value, len(allowed) - place, 0)  # jumps over `denied`
            checked += denied
        checked += _instruction(_RETURN, _ALLOW)
        content += _instruction(_IS, numbers[name], 0, len(checked) // 8) + checked
    for number in (numbers[name] for name in _DENIED if name in numbers):
        content += _instruction(_IS, number, 0, 1) + denied
    return content + _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """Returns one instruction. A comparison skips the next `if_so` or `if_not` instructions."""
    return struct.pack("=HBBI", code, if_so, if_not, value)


def _machine() -> str:
    """Returns the machine whose calls this Python makes, which differ for a 32-bit Python."""
    machine = os.uname().machine
    return machine if sys.maxsize > 2**32 else f"the 32 bits of {machine}"
