"""Tries what hostile code in a worker process would try, and reports what comes of each attempt.

Run as a program, this module is a `cucmd` whose receiving processes do nothing else.
"""

import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from cucmd.receiver.messages import Begin, LogLine, ToProcess
from cucmd.worker.forked import Channel

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PTRACE_ATTACH, _PTRACE_TRACEME = 16, 0
_PIDFD_OPEN, _IO_URING_SETUP, _CLONE3 = 434, 425, 435  # the same number on all machines

Attempt = Callable[[], object]


def attempts(state: Path, daemon: int) -> dict[str, Attempt]:
    """Returns attempts against the state directory and the process of a daemon.

    Each attempt does harm if it succeeds.
    """
    found: dict[str, Attempt] = {
        "start a thread": lambda: threading.Thread(target=int).start(),
        "connect to the daemon's socket": lambda: _connect(socket.AF_UNIX, 0, state / "socket"),
        "connect by TCP": lambda: _connect(socket.AF_INET, 0, ("127.0.0.1", 9)),
        "connect by MPTCP": lambda: _connect(
            socket.AF_INET, socket.IPPROTO_MPTCP, ("127.0.0.1", 9)
        ),
        "send by UDP": _send_by_udp,
        "make datagram sockets": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "fork": _fork,
        "clone3": lambda: _call(_CLONE3, None, 0),
        "execute": lambda: os.execv("/bin/true", ["true"]),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "outlive the fork server": lambda: _checked(_libc.prctl(_PR_SET_PDEATHSIG, 0)),
        "become another user": lambda: os.setresuid(*[os.getuid()] * 3),
        "signal the daemon": lambda: os.kill(daemon, 0),
        "signal the fork server": lambda: os.kill(os.getppid(), 0),
        "signal all": lambda: os.kill(-1, 0),
        "have the kernel signal the daemon": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, daemon),
        "take a descriptor of the daemon's process": lambda: _call(_PIDFD_OPEN, daemon, 0),
        "limit the daemon": lambda: resource.prlimit(daemon, resource.RLIMIT_NOFILE, (9, 9)),
        "slow down the daemon": lambda: os.setpriority(os.PRIO_PROCESS, daemon, 19),
        "trace the daemon": lambda: _checked(_libc.ptrace(_PTRACE_ATTACH, daemon, None, None)),
        "be traced": lambda: _checked(_libc.ptrace(_PTRACE_TRACEME, 0, None, None)),
        "read the daemon's memory": lambda: _read_memory(daemon),
        "type into the terminal": lambda: fcntl.ioctl(2, termios.TIOCSTI, b"x"),
        "use a capability of root": lambda: os.chroot("/"),
        "use another of them": lambda: socket.sethostname(socket.gethostname()),
        "leave memory behind": lambda: _checked(_libc.shmget(0, 4096, 0o1600)),
        "take memory that is not counted": lambda: os.memfd_create("x"),
        "set up io_uring": lambda: _call(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "change the mode of an open file": lambda: os.fchmod(2, 0o777),
        "truncate an open file": lambda: os.ftruncate(2, 0),
    }
    for name in ("known_hosts", "cucmd.db", "jobs"):
        path = state / name
        found |= {
            f"change the mode of {name}": lambda path=path: path.chmod(0o777),
            f"change the owner of {name}": lambda path=path: os.chown(path, -1, os.getgid()),
            f"change the times of {name}": lambda path=path: os.utime(path, (1, 1)),
            f"give {name} an attribute": lambda path=path: os.setxattr(path, "user.x", b"x"),
            f"truncate {name}": lambda path=path: os.truncate(path, 0),
        }
    return found


# The outcome of each attempt in a confined process, if it is not EPERM.
OUTCOMES = {"start a thread": "can't start new thread"}
SUCCEEDED = "succeeded"


def receive(channel: Channel) -> None:
    """Makes all attempts instead of receiving.

    The command line of the fork server has the pid and the folder of the daemon.
    """
    _, _, daemon, jobs, *_ = sys.argv
    channel.receive(msgspec.msgpack.Decoder(Begin))
    connection = channel.receive_descriptor()
    for name, attempt in attempts(Path(jobs).parent, int(daemon)).items():
        said = outcome(attempt)
        if said != OUTCOMES.get(name, "EPERM"):
            _say(channel, f"{name}: {said}")
    _say(channel, "has tried everything")
    select.select([connection], [], [])  # until the client leaves


def _say(channel: Channel, text: str) -> None:
    channel.send(LogLine(30, text))
    channel.receive(msgspec.msgpack.Decoder(ToProcess))


def outcome(attempt: Attempt) -> str:
    """Makes an attempt. Returns SUCCEEDED or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except RuntimeError as error:  # from the start of a thread
        return str(error)
    return SUCCEEDED


def _connect(family: socket.AddressFamily, protocol: int, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM, protocol) as one:
        one.connect(address if isinstance(address, tuple) else str(address))


def _send_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", 9))


def _fork() -> None:
    if os.fork() == 0:
        signal.pause()


def _read_memory(process: int) -> None:
    class Span(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    place = ctypes.create_string_buffer(8)
    ours = Span(ctypes.addressof(place), 8)
    theirs = Span(ctypes.addressof(place), 8)
    read = _libc.process_vm_readv
    _checked(read(process, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))


def _call(number: int, *arguments: object) -> None:
    _checked(_libc.syscall(number, *arguments))


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


if __name__ == "__main__":
    from cucmd.main import main
    from cucmd.receiver.served_connection import RECEIVE
    from cucmd.service import daemon as service

    service.PROCESSES[RECEIVE] = "rig.taken_over:receive"
    sys.exit(main())
