"""Runs the first process, which imports what the others need, and forks them. It has one thread.

    python -m cucmd.worker.fork_server DESCRIPTOR DAEMON FOLDER ROLE=MODULE:FUNCTION ...

DESCRIPTOR is its socket to the daemon, whose process is DAEMON, and FOLDER the one below which some
of those may read files; none may open one to write. What does a role gets its end of a channel.

The module of a role may have a function `before_forks`: what that loads and makes is shared by all.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import msgspec

from cucmd.worker import confine
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    MAX_PACKET,
    CannotFork,
    Ended,
    Fork,
    Forked,
    FromForkServer,
    Ready,
    encode_packet,
)
from cucmd.worker.seccomp import filter_calls

OUT_OF_MEMORY = 70  # exit codes of a process that was forked
DEFECT = 71

# Characters: a pipe takes so much in one piece.
_MOST_TRACEBACK = 4000

# What Python reads once it runs: modules that are imported late, encodings, time zones.
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/dev/urandom", "/dev/null")

EntryPoint = Callable[[Channel], None]


def main(arguments: Sequence[str]) -> None:
    descriptor, daemon, folder, *roles = arguments
    # A stop is the daemon's to order, also where a terminal sends it to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    confine.end_with_parent(int(daemon))
    confine.raise_oom_score()
    control = socket.socket(fileno=int(descriptor))
    entry_points: dict[str, EntryPoint] = {}
    for role in roles:
        name, module, function = re.split("[=:]", role)
        imported = import_module(module)
        if before_forks := getattr(imported, "before_forks", None):
            before_forks()
        entry_points[name] = getattr(imported, function)
    confine.forbid_privileges()
    confined = confine.restrict_files_to([*SYSTEM, *_own_folders(), folder])
    gc.collect()
    gc.freeze()  # a collection in one that was forked would copy all of it
    ForkServer(control, entry_points).run(confined=confined)


def _own_folders() -> set[str]:
    """Returns where Python and its packages are."""
    here = os.path.dirname(os.path.dirname(__file__))
    return {here, sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)}


class ForkServer:
    """Forks processes as the daemon asks. `run` returns when the daemon has gone."""

    def __init__(self, control: socket.socket, roles: Mapping[str, EntryPoint]) -> None:
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
        """Forks what one request asks for, and says so. Returns False if the daemon has gone."""
        content, descriptors, _, _ = socket.recv_fds(self._control, MAX_PACKET, 1)
        if not content:
            return False
        asked, parent, pid = self._asked.decode(content), os.getpid(), 0
        if not descriptors:  # the kernel has cut it
            self._send(CannotFork(asked.number, os.strerror(errno.EMFILE)))
            return True
        channel = socket.socket(fileno=descriptors[0])
        try:
            if (pid := os.fork()) == 0:
                self._be_forked(asked, Channel(channel), parent)
            pidfd = os.pidfd_open(pid)
        except OSError as error:  # mostly there is no process left, or no descriptor
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._send(CannotFork(asked.number, error.strerror or str(error)))
            return True
        finally:
            channel.close()
        self._children[pidfd] = asked.number, pid
        self._poll.register(pidfd, select.POLLIN)
        self._send(Forked(asked.number), pidfd)
        return True

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children[pidfd]
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:  # the descriptor was another's when there was something to say of it
            return
        del self._children[pidfd]
        self._poll.unregister(pidfd)
        os.close(pidfd)
        seconds = used.ru_utime + used.ru_stime
        self._send(Ended(number, os.waitstatus_to_exitcode(status), seconds))

    def _send(self, frame: FromForkServer, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [encode_packet(frame)], descriptors)
        except OSError:
            sys.exit()  # the daemon has gone

    def _be_forked(self, asked: Fork, channel: Channel, parent: int) -> NoReturn:
        code = DEFECT
        try:
            confine.end_with_parent(parent)
            self._control.close()
            for pidfd in self._children:
                os.close(pidfd)
            with suppress(OSError):  # the filter of systemd/cucmd.service refuses this call
                os.nice(asked.limits.nice)  # the dialogue with nodes goes first
            confine.set_limits(asked.limits)
            own = [asked.folder] if asked.folder else []
            confine.restrict_files_to([*SYSTEM, *_own_folders(), *own])
            confine.drop_capabilities(reads=bool(own))
            filter_calls()
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
