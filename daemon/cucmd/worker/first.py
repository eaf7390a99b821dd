"""Runs the first process, which imports what the others need, and forks them. It has one thread.

    python -m cucmd.worker.first DESCRIPTOR DAEMON FOLDER ROLE=MODULE:FUNCTION ...

DESCRIPTOR is its socket to the daemon, whose process is DAEMON, and FOLDER the one below which some
of those may read files; none may open one to write. What does a role gets its end of a channel.

It also accepts the connections of the receiver's port, and hands each to the process that takes
those of its address.

The module of a role may have a function `before_forks`: what that loads and makes is shared by all.
"""

from __future__ import annotations

import array
import errno
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module

import msgspec

from cucmd.node_name import source_of
from cucmd.worker import confine
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    MOST_PACKET,
    CannotAccept,
    CannotFork,
    Ended,
    Fork,
    Forked,
    FromFirst,
    Listen,
    Ready,
    Route,
    ToFirst,
    packet,
)
from cucmd.worker.seccomp import filter_calls

OUT_OF_MEMORY = 70  # exit codes of a process that was forked
DEFECT = 71

# Characters: a pipe takes so much in one piece.
_MOST_TRACEBACK = 4000

# Connections that are accepted before it looks at what else there is to do.
AT_ONCE = 16
# Seconds after an `accept` that failed: mostly there is no descriptor left, or no memory.
RECOVERY = 1
# Sockets: as many as one name has addresses of this machine.
MOST_LISTENING = 16

# What Python reads once it runs: modules that are imported late, encodings, time zones.
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/dev/urandom", "/dev/null")

EntryPoint = Callable[[Channel], None]


def main(arguments: Sequence[str]) -> None:
    descriptor, daemon, folder, *roles = arguments
    # A stop is the daemon's to order, also where a terminal sends it to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _kill_what_is_stopped)
    confine.die_with(int(daemon))
    confine.be_killed_first()
    control = socket.socket(fileno=int(descriptor))
    named = dict(one.split("=", 1) for one in roles)
    found = {name: _imported(where) for name, where in named.items()}
    confine.forbid_privileges()
    confined = confine.only_below([*SYSTEM, *_own_folders(), folder])
    gc.collect()
    gc.freeze()  # a collection in one that was forked would copy all of it
    First(control, found).run(confined=confined)


def _kill_what_is_stopped(*_: object) -> None:
    """Kills what somebody has stopped: what waits for it would wait for ever."""
    with suppress(ChildProcessError):  # there is none
        while stopped := os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG):
            os.kill(stopped.si_pid, signal.SIGKILL)


def _imported(where: str) -> EntryPoint:
    module, _, name = where.partition(":")
    imported = import_module(module)
    if before_forks := getattr(imported, "before_forks", None):
        before_forks()
    role: EntryPoint = getattr(imported, name)
    return role


def _own_folders() -> set[str]:
    """Returns where Python and its packages are."""
    here = os.path.dirname(os.path.dirname(__file__))
    return {here, sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)}


class First:
    """`run` returns when the daemon has gone."""

    def __init__(self, control: socket.socket, roles: Mapping[str, EntryPoint]) -> None:
        self._control = control
        self._roles = roles
        self._children: dict[int, tuple[int, int]] = {}  # pidfd -> (number, pid)
        self._doors: dict[int, socket.socket] = {}  # number -> our end
        self._routes: dict[str, int] = {}  # address, or "" -> number
        # number -> what is forked at its first connection, with its sockets
        self._waiting: dict[int, tuple[Fork, list[socket.socket]]] = {}
        self._listening: dict[int, socket.socket] = {}
        self._waits_until = 0.0  # after an error of accept
        self._poll = select.poll()
        self._asked = msgspec.msgpack.Decoder(ToFirst)

    def run(self, *, confined: bool) -> None:
        self._poll.register(self._control, select.POLLIN)
        self._send(Ready(confined))
        while True:
            for descriptor, _ in self._poll.poll(1000 * RECOVERY if self._waits_until else None):
                if descriptor in self._children:
                    self._reap(descriptor)
                elif descriptor in self._listening:
                    self._accept(self._listening[descriptor])
                elif descriptor == self._control.fileno():
                    if not self._take():
                        return
                else:
                    self._drop(descriptor)
            if self._waits_until and time.monotonic() >= self._waits_until:
                self._waits_until = 0.0
                self._listen()

    def _take(self) -> bool:
        """Does what one request asks for. False: the daemon has gone."""
        space = socket.CMSG_SPACE(4 * MOST_LISTENING)
        content, ancillary, _, _ = self._control.recvmsg(MOST_PACKET, space)
        if not content:
            return False
        descriptors = [fd for _, _, data in ancillary for fd in array.array("i", data)]
        match self._asked.decode(content):
            case Fork() as asked:
                sockets = [socket.socket(fileno=fd) for fd in descriptors]
                if len(sockets) < 1 + asked.takes:  # the kernel has cut them
                    self._refuse(asked, os.strerror(errno.EMFILE), *sockets)
                elif asked.takes:
                    self._waiting[asked.number] = asked, sockets
                    self._poll.register(sockets[0], 0)  # it says nothing but that it was closed
                else:
                    self._fork(asked, *sockets)
            case Listen():
                for one in self._listening.values():
                    self._poll.unregister(one)
                    one.close()
                self._listening = {fd: socket.socket(fileno=fd) for fd in descriptors}
            case Route(source, number) if number > 0:
                self._routes[source] = number
            case Route(source, number):
                if self._routes.get(source) == -number:
                    del self._routes[source]
        self._listen()
        return True

    # Connections.

    def _listen(self) -> None:
        """While nobody takes what is accepted, connections wait in the kernel."""
        for one in self._listening:
            self._poll.register(one, select.POLLIN if self._are_taken() else 0)

    def _are_taken(self) -> bool:
        number = self._routes.get("")
        return (number in self._doors or number in self._waiting) and not self._waits_until

    def _accept(self, listening: socket.socket) -> None:
        """Accepts some: all else that is to be done waits no more than a millisecond for these."""
        for _ in range(AT_ONCE):
            if not self._are_taken():  # their process has ended in this turn, or cannot be forked
                return
            try:
                accepted, peer = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # accept(2) lists many that the network or a firewall can cause.
                self._send(CannotAccept(error.strerror or str(error)))
                self._waits_until = time.monotonic() + RECOVERY
                self._listen()
                return
            with accepted:
                self._hand_over(accepted, source_of(peer[0]))

    def _hand_over(self, accepted: socket.socket, source: str) -> None:
        """Sends a connection to its process, or to that of all others where none can be forked.

        Closes it where that has more than it can take, or cannot be forked either.
        """
        for number in (self._routes.get(source, 0), self._routes[""]):
            if number in self._waiting:
                asked, sockets = self._waiting.pop(number)
                self._poll.unregister(sockets[0])
                self._fork(asked, *sockets, accepted=accepted)
            if door := self._doors.get(number):
                with suppress(OSError):
                    fds = [accepted.fileno()]
                    socket.send_fds(door, [source.encode()], fds, socket.MSG_DONTWAIT)
                return
        self._listen()  # none could be forked: others wait in the kernel

    # Processes.

    def _fork(
        self,
        asked: Fork,
        channel: socket.socket,
        opener: socket.socket | None = None,
        *,
        accepted: socket.socket | None = None,
    ) -> None:
        """Forks what was asked for, and says so. `accepted`: the connection for which it is forked.
        It comes by the door, as all do: one that the process had twice would stay open after its
        close.
        """
        parent, pid = os.getpid(), 0
        ours, door = None, None
        try:
            if asked.takes:
                ours, door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if (pid := os.fork()) == 0:
                self._be_forked(asked, Channel(channel, door, opener), parent, ours, accepted)
            pidfd = os.pidfd_open(pid)
        except OSError as error:  # mostly there is no process left, or no descriptor
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._refuse(asked, error.strerror or str(error), *filter(None, (ours,)))
            return
        finally:
            for one in filter(None, (channel, door, opener)):
                one.close()
        if ours:
            self._doors[asked.number] = ours
        self._children[pidfd] = asked.number, pid
        self._poll.register(pidfd, select.POLLIN)
        self._send(Forked(asked.number), pidfd)

    def _refuse(self, asked: Fork, why: str, *sockets: socket.socket) -> None:
        for one in sockets:
            one.close()
        self._send(CannotFork(asked.number, why))

    def _drop(self, descriptor: int) -> None:
        """Nobody wants any more what waits with that channel. It may have been forked meanwhile."""
        for number, (_, sockets) in self._waiting.items():
            if sockets[0].fileno() == descriptor:
                del self._waiting[number]
                self._routes = {at: to for at, to in self._routes.items() if to != number}
                self._poll.unregister(descriptor)
                for one in sockets:
                    one.close()
                self._listen()
                return

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children[pidfd]
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:  # the descriptor was another's when there was something to say of it
            return
        del self._children[pidfd]
        self._poll.unregister(pidfd)
        os.close(pidfd)
        if number in self._doors:
            self._doors.pop(number).close()
            self._routes = {at: to for at, to in self._routes.items() if to != number}
            self._listen()
        seconds = used.ru_utime + used.ru_stime
        self._send(Ended(number, os.waitstatus_to_exitcode(status), seconds))

    def _send(self, frame: FromFirst, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [packet(frame)], descriptors)
        except OSError:
            sys.exit()  # the daemon has gone

    def _be_forked(
        self, asked: Fork, channel: Channel, parent: int, *not_its: socket.socket | None
    ) -> None:
        """Does not return."""
        code = DEFECT
        try:
            confine.die_with(parent)
            self._control.close()
            for pidfd in self._children:
                os.close(pidfd)
            of_others = (one for _, sockets in self._waiting.values() for one in sockets)
            listening, doors = self._listening.values(), self._doors.values()
            for one in filter(None, (*listening, *doors, *of_others, *not_its)):
                one.close()
            if not asked.takes:  # a node that pushes does not wait for long
                with suppress(OSError):  # the filter of systemd/cucmd.service refuses it
                    os.nice(10)  # the dialogue with nodes goes first
            confine.set_limits(asked.limits)
            own = [asked.folder] if asked.folder else []
            confine.only_below([*SYSTEM, *_own_folders(), *own])
            filter_calls(threads=asked.limits.threads)
            self._roles[asked.role](channel)
            code = 0
        except DaemonGone:
            code = 0
        except MemoryError:
            code = OUT_OF_MEMORY
        except BaseException:
            # To the daemon, which logs it; at once, lest that of another process is in between.
            sys.stderr.write(traceback.format_exc()[-_MOST_TRACEBACK:])
        finally:
            os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
