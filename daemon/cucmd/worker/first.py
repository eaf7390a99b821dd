"""The first process: imports what the others need, and forks them. It has one thread.

    python -m cucmd.worker.first DESCRIPTOR DAEMON FOLDER ROLE=MODULE:FUNCTION ...

DESCRIPTOR is its socket to the daemon, whose process is DAEMON, and FOLDER the only one below which
files may be written. What does a role gets its end of a channel.
"""

from __future__ import annotations

import array
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module

import msgspec

from cucmd.worker import confine
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    MOST_PACKET,
    CannotFork,
    Ended,
    Fork,
    Forked,
    FromFirst,
    Ready,
    packet,
)

OUT_OF_MEMORY = 70  # exit codes of a process that was forked
DEFECT = 71

# What Python reads once it runs: modules that are imported late, encodings, time zones.
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/dev/urandom", "/dev/null")

Role = Callable[[Channel], None]


def main(arguments: Sequence[str]) -> None:
    descriptor, daemon, folder, *roles = arguments
    # A stop is the daemon's to order, also where a terminal sends it to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _kill_what_is_stopped)
    confine.die_with(int(daemon))
    control = socket.socket(fileno=int(descriptor))
    named = dict(one.split("=", 1) for one in roles)
    found = {name: _imported(where) for name, where in named.items()}
    confine.forbid_privileges()
    confined = confine.only_below([*SYSTEM, *_own_folders(), folder], [folder])
    gc.collect()
    gc.freeze()  # a collection in one that was forked would copy all of it
    First(control, found).run(confined=confined)


def _kill_what_is_stopped(*_: object) -> None:
    """What waits for a process that somebody has stopped would wait for ever."""
    with suppress(ChildProcessError):  # there is none
        while stopped := os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG):
            os.kill(stopped.si_pid, signal.SIGKILL)


def _imported(where: str) -> Role:
    module, _, name = where.partition(":")
    role: Role = getattr(import_module(module), name)
    return role


def _own_folders() -> set[str]:
    """Where Python and its packages are."""
    here = os.path.dirname(os.path.dirname(__file__))
    return {here, sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)}


class First:
    """`run` returns when the daemon has gone."""

    def __init__(self, control: socket.socket, roles: Mapping[str, Role]) -> None:
        self._control = control
        self._roles = roles
        self._children: dict[int, tuple[int, int]] = {}  # pidfd -> (number, pid)
        self._poll = select.poll()
        self._asked = msgspec.msgpack.Decoder(Fork)

    def run(self, *, confined: bool) -> None:
        self._poll.register(self._control, select.POLLIN)
        self._send(Ready(confined))
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                elif not self._take():
                    return

    def _take(self) -> bool:
        """One request. False: the daemon has gone."""
        content, ancillary, _, _ = self._control.recvmsg(MOST_PACKET, socket.CMSG_SPACE(4))
        if not content:
            return False
        ((_, _, data),) = ancillary
        (channel,) = array.array("i", data)
        self._fork(self._asked.decode(content), socket.socket(fileno=channel))
        return True

    def _fork(self, asked: Fork, channel: socket.socket) -> None:
        parent = os.getpid()
        with channel:
            try:
                pid = os.fork()
            except OSError as error:
                self._send(CannotFork(asked.number, error.strerror or str(error)))
                return
            if pid == 0:
                self._be_forked(asked, channel, parent)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = asked.number, pid
        self._poll.register(pidfd, select.POLLIN)
        self._send(Forked(asked.number), pidfd)

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        seconds = used.ru_utime + used.ru_stime
        self._send(Ended(number, os.waitstatus_to_exitcode(status), seconds))

    def _send(self, frame: FromFirst, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [packet(frame)], descriptors)
        except OSError:
            sys.exit()  # the daemon has gone

    def _be_forked(self, asked: Fork, channel: socket.socket, parent: int) -> None:
        """Does not return."""
        code = DEFECT
        try:
            confine.die_with(parent)
            self._control.close()
            for pidfd in self._children:
                os.close(pidfd)
            with suppress(OSError):  # the filter of systemd/cucmd.service refuses it
                os.nice(10)  # the dialogue with nodes goes first
            confine.set_limits(asked.limits)
            reads = [*SYSTEM, *_own_folders(), asked.folder]
            confine.only_below(reads, [asked.folder] if asked.writes else [])
            self._roles[asked.role](Channel(channel))
            code = 0
        except DaemonGone:
            code = 0
        except MemoryError:
            code = OUT_OF_MEMORY
        except BaseException:
            traceback.print_exc()  # where the daemon logs
        finally:
            os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
