"""Runs the fork server, which imports the modules of the workers and forks them, in one thread.

    python -m cucmd.worker.fork_server DESCRIPTOR DAEMON FOLDER ROLE=MODULE:FUNCTION ...

DESCRIPTOR is its socket to the daemon, and DAEMON is the process ID of the daemon. Some workers may
read files below FOLDER; no worker may open a file for writing. The function of a role gets the
worker's end of its channel.

The module of a role may have a function `before_forks`. It is called once in the fork server, and
all workers share the memory that it fills.
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

from cucmd.worker import confine, frames
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.parent_end import end_with_parent
from cucmd.worker.seccomp import filter_calls

# Exit codes of a worker.
OUT_OF_MEMORY = 70
DEFECT = 71

# The most characters of a traceback. A pipe takes 4096 bytes in one piece, so the texts of two
# workers do not get mixed.
_MOST_TRACEBACK = 4000

# Where Python reads files while it runs: modules that are imported late, encodings, time zones.
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/dev/urandom", "/dev/null")

EntryPoint = Callable[[Channel], None]


def main(arguments: Sequence[str]) -> None:
    descriptor, daemon, folder, *roles = arguments
    # Only the daemon ends this process. A terminal would send these signals to all processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(int(daemon))
    confine.raise_oom_score()
    control = socket.socket(fileno=int(descriptor))
    entry_points: dict[str, EntryPoint] = {}
    for role in roles:
        name, module, function = re.split("[=:]", role, maxsplit=2)
        imported = import_module(module)
        if before_forks := getattr(imported, "before_forks", None):
            before_forks()
        entry_points[name] = getattr(imported, function)
    confine.forbid_privileges()
    confined = confine.restrict_files_to([*SYSTEM, *_own_folders(), folder])
    gc.collect()
    gc.freeze()  # otherwise a garbage collection in a worker would copy all shared memory
    ForkServer(control, entry_points).run(confined=confined)


def _own_folders() -> set[str]:
    """Returns the folders of Python and its packages."""
    package_parent = os.path.dirname(os.path.dirname(__file__))
    return {package_parent, sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)}


class ForkServer:
    """Forks workers when the daemon asks for them. `run` returns when the daemon has ended."""

    def __init__(self, control: socket.socket, roles: Mapping[str, EntryPoint]) -> None:
        self._control = control
        self._roles = roles
        self._children: dict[int, tuple[int, int]] = {}  # pidfd -> (number, pid)
        self._poll = select.poll()
        self._decoder = msgspec.msgpack.Decoder(frames.Fork)

    def run(self, *, confined: bool) -> None:
        self._poll.register(self._control, select.POLLIN)
        self._send(frames.Ready(confined))
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                elif not self._take():
                    return

    def _take(self) -> bool:
        """Handles one request of the daemon. Returns False if the daemon has ended."""
        content, descriptors, _, _ = socket.recv_fds(self._control, frames.MAX_PACKET, 1)
        if not content:
            return False
        request, parent, pid = self._decoder.decode(content), os.getpid(), 0
        if not descriptors:  # dropped by the kernel, since this process has too many open files
            self._send(frames.CannotFork(request.number, os.strerror(errno.EMFILE)))
            return True
        channel = socket.socket(fileno=descriptors[0])
        try:
            if (pid := os.fork()) == 0:
                self._be_forked(request, Channel(channel), parent)
            pidfd = os.pidfd_open(pid)
        except OSError as error:  # mostly a limit of processes or of descriptors
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._send(frames.CannotFork(request.number, error.strerror or str(error)))
            return True
        finally:
            channel.close()
        self._children[pidfd] = request.number, pid
        self._poll.register(pidfd, select.POLLIN)
        # The daemon gets a pidfd and no process id: the kernel may use an id again for another
        # process, and the daemon would kill that one.
        self._send(frames.Forked(request.number), pidfd)
        return True

    def _reap(self, pidfd: int) -> None:
        """Reports the end of a worker to the daemon."""
        number, pid = self._children[pidfd]
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:
            # `poll` reported an earlier descriptor of the same number, which was closed meanwhile.
            return
        del self._children[pidfd]
        self._poll.unregister(pidfd)
        os.close(pidfd)
        seconds = used.ru_utime + used.ru_stime
        self._send(frames.Ended(number, os.waitstatus_to_exitcode(status), seconds))

    def _send(self, frame: frames.FromForkServer, *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [msgspec.msgpack.encode(frame)], descriptors)
        except OSError:
            sys.exit()  # the daemon has ended

    def _be_forked(self, request: frames.Fork, channel: Channel, parent: int) -> NoReturn:
        """Runs in the worker: confines it, does its work, and exits."""
        code = DEFECT
        try:
            end_with_parent(parent)
            self._control.close()
            # Where the kernel has no filter of system calls, a worker that hostile bytes have taken
            # over could otherwise kill the workers of other nodes.
            for pidfd in self._children:
                os.close(pidfd)
            # The filter of systemd/cucmd.service refuses this call.
            with suppress(OSError):
                os.nice(request.limits.nice)
            confine.set_limits(request.limits)
            own = [request.folder] if request.folder else []
            # The fork server itself may read the whole folder of the daemon. A second Landlock
            # ruleset can only narrow that down, here to the folder of one job or node.
            confine.restrict_files_to([*SYSTEM, *_own_folders(), *own])
            confine.drop_capabilities(reads=bool(own))
            # The filter comes last, because it forbids calls that the steps above make.
            filter_calls()
            self._roles[request.role](channel)
            code = 0
        except DaemonGone:
            code = 0
        except MemoryError:
            code = OUT_OF_MEMORY
        except BaseException:
            # The daemon logs the text. One write does not get mixed with texts of other workers.
            sys.stderr.write(traceback.format_exc()[-_MOST_TRACEBACK:])
        finally:
            os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
