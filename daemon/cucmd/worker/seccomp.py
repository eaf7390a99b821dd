"""Takes from a forked process the system calls that it does not need, by a filter of its own.

Landlock (`confine.py`) decides which files a process may open. Landlock leaves a lot to a process
that somebody has taken over: to connect to the daemon's own socket, where the kernel would name the
daemon's user as the caller; to change modes, owners, times and lengths of files by their path; to
start children that live on when their parent is killed; to signal, trace and slow down the other
processes of its user; to leave memory behind that
nobody frees. The filter closes these ways.

The filter is a short program for the kernel's BPF machine, which runs at each system call and says
what becomes of the call:

    any call in the form of another machine, and of x32   the process is killed
    a call in `_DENIED`                                   EPERM
    a call in `_ALLOWED_WITH`, with another argument      EPERM
    everything else                                       the call is made

EPERM rather than the end of the process, because libraries may try a call and go on without it. No
library makes calls in the form of another machine.

A process cannot take a filter off again. No socket that a
process has, or may make, takes an address at `sendto` or `sendmsg`: they are all connected streams
or packets in order. So these calls are open.
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

# name -> the number that the ELF header of programs has for the machine (<linux/audit.h>), and
# which of the two numbers below is of that machine.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# call -> its number on x86-64, and on aarch64, which does not have the oldest calls.
_DENIED: dict[str, tuple[int, int | None]] = {
    # Connections. `socketpair` is below.
    "socket": (41, 198),
    "connect": (42, 203),
    # Threads, children and programs. A child would not be killed together with the process.
    "clone": (56, 220),
    "clone3": (435, 435),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    # Signals to others, and their descriptors. `tgkill` is below.
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    # The memory of others.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # What outlives the process: it would take memory until the machine is started again.
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
    # Segments, semaphores and queues that others have made: their numbers can be guessed.
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    # The share of others in the processor and the disk.
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    # Calls that no filter sees.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Another user. It is also one of the ways not to end with the first process.
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

# call -> (argument, the bits of it that count, the values that they may have). The kernel uses the
# lower half of each of these arguments, and so does the program.
_ALL = 0xFFFFFFFF
_ALLOWED_WITH: dict[str, list[tuple[int, int, list[int]]]] = {
    # asyncio wakes itself by such a pair. A pair of datagram sockets could send to any path.
    "socketpair": [(0, _ALL, [socket.AF_UNIX]), (1, 0xF, [socket.SOCK_STREAM])],
    # The limits of this process: the C library's `getrlimit` asks so. Not those of the daemon.
    "prlimit64": [(0, _ALL, [0])],
    # What Python does with sockets and files. Not TIOCSTI, which types into the daemon's terminal,
    # nor FIOSETOWN, which has the kernel signal others, nor what changes a file's attributes.
    "ioctl": [(1, _ALL, [termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX, termios.TCGETS])],
    # Duplicates and flags. Not F_SETOWN and F_SETSIG, which have the kernel signal others.
    "fcntl": [(1, _ALL, [*range(fcntl.F_DUPFD, fcntl.F_SETFL + 1), fcntl.F_DUPFD_CLOEXEC])],
    # PR_SET_NAME, PR_GET_NAME and PR_SET_VMA: names of threads and of memory. Not
    # PR_SET_PDEATHSIG, by which the process ends with the first process.
    "prctl": [(0, _ALL, [15, 16, 0x53564D41])],
}

# call -> its number on x86-64, and on aarch64. tests/unit/worker/test_seccomp.py compares all
# numbers with the headers of the kernel.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    **_DENIED,
    "socketpair": (53, 199),
    "prlimit64": (302, 261),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prctl": (157, 167),
    "tgkill": (234, 131),
}

_X32 = 0x40000000  # a bit of the numbers of x32 calls; no machine has so large ones otherwise

# Instructions, <linux/bpf_common.h>: of what the call is, the number is at 0, the machine at 4, and
# the arguments at 16, in eight bytes each.
_LOAD, _AND, _IS, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # SECCOMP_RET_*, <linux/seccomp.h>

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def missing_filter_reason() -> str | None:
    """Returns None if this kernel and machine can filter the calls of a process."""
    if _machine() not in _MACHINES:
        return f"no filter of system calls is known for {_machine()}"
    _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None)
    if ctypes.get_errno() != errno.EFAULT:  # as it says where it would have read the program
        return "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
    return None


def filter_calls() -> None:
    """Filters the calls of this process from now on, where the kernel can. Raises OSError.

    It may gain no privileges any more (`confine.forbid_privileges`), and has one thread.
    """
    if missing_filter_reason():
        return
    content = build_program(_machine(), os.getpid())
    prepared = _Program(len(content) // 8, content)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(prepared), 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def call_numbers(machine: str) -> dict[str, int]:
    """Returns the numbers of all calls that the program knows and the machine has."""
    which = _MACHINES[machine][1]
    return {name: one for name, both in _NUMBERS.items() if (one := both[which]) is not None}


def build_program(machine: str, pid: int) -> bytes:
    """Makes the program for the process `pid`. Raises KeyError for a machine that is not known."""
    numbers = call_numbers(machine)
    denied = _instruction(_RETURN, _ERROR | errno.EPERM)
    checks = {
        **_ALLOWED_WITH,
        "tgkill": [(0, _ALL, [pid])],  # signals to itself, as abort(3) does it
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
                checked += _instruction(_IS, value, len(allowed) - place, 0)  # to behind `denied`
            checked += denied
        checked += _instruction(_RETURN, _ALLOW)
        content += _instruction(_IS, numbers[name], 0, len(checked) // 8) + checked
    for number in (numbers[name] for name in _DENIED if name in numbers):
        content += _instruction(_IS, number, 0, 1) + denied
    return content + _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """Makes an instruction. A comparison leaves out the next `if_so` or `if_not` instructions."""
    return struct.pack("=HBBI", code, if_so, if_not, value)


def _machine() -> str:
    """Names the machine whose calls this Python makes: it may have 32 bits of a larger one."""
    machine = os.uname().machine
    return machine if sys.maxsize > 2**32 else f"the 32 bits of {machine}"
