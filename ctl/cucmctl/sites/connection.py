"""Connects to the daemon of a site. Each connection is a process of `ssh`, which carries its bytes.

    state        what happens                     next
    asking       the daemon answers               connected
    asking       ssh ends: it cannot log in       `SiteUnreachable` is raised
    asking       ssh ends: it cannot forward      the same with `cucmctl bridge` at the site
    connected    the link breaks                  the next connection logs in again

`ssh -W` forwards to the socket of the daemon. An ssh before OpenSSH 9.4 cannot do that, and an sshd
may forbid it. Then each connection runs `cucmctl bridge` at the site.

The first process of ssh logs in, and leaves a ControlMaster behind, which the later ones use, also
those of other commands. It ends when nothing has used it for 60 seconds. `close` ends the other
processes of ssh, and so does the kernel when `cucmctl` ends.

A site can send whatever it likes. So its replies are read by the same client as those of a local
socket, and of what ssh says only the first bytes are read, which are then made visible.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from contextlib import suppress
from functools import partial
from signal import SIGTERM
from typing import Self

import msgspec

from cucmctl.client.calls import Calls
from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, SocketNotPermitted
from cucmctl.client.wire import Remote
from cucmctl.sites.places import Site
from cucmd.paths import is_private
from cucmd.worker.parent_end import end_with_parent

# Sites that are logged in to at a time. With a jump host all of them reach one sshd, which refuses
# some logins if ten come at once (MaxStartups).
AT_A_TIME = 8
# Seconds. Each login waits for a random time up to this, so that they do not all come at once.
JITTER = 0.2
# Seconds more for a login that asks for a password. An sshd waits as long (LoginGraceTime).
_TYPING = 120.0
_OPTIONS = (
    *("ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR", "RemoteCommand=none"),
    *("ClearAllForwardings=yes", "ControlMaster=auto", "ControlPersist=60"),
)
# What ssh says if it has logged in, but cannot forward.
_NOT_FORWARDED = re.compile("stdio forwarding|open failed", re.IGNORECASE)


class SiteUnreachable(DaemonUnavailable):
    """A site cannot be reached."""


class _Info(msgspec.Struct):
    version: str


class Connection(Remote):
    """Leads to the daemon of a site: a client takes this in place of the path of a socket.

    asks     whether ssh may ask for a password or about a host key, at the terminal
    version  the version of the daemon at the site

    The constructor logs in, which takes up to the site's `timeout`, or longer while ssh waits for a
    password. Raises `SiteUnreachable`, also if no process can be started here, and
    `SocketNotPermitted`. Then nothing is left open; else call `close`.
    """

    def __new__(cls, site: Site, *, asks: bool = False) -> Self:
        return super().__new__(cls, f"{site.target}{site.socket}")

    def __init__(self, site: Site, *, asks: bool = False) -> None:
        self.site = site
        batch = "no" if asks else "yes"
        own = (f"ConnectTimeout={site.timeout:g}", f"BatchMode={batch}", _control_path())
        self._ssh = ["ssh", "-axT", *(f"-o{option}" for option in (*_OPTIONS, *own))]
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self.version = self._log_in(site.timeout + (_TYPING if asks else 0))
        except BaseException:
            self.close()
            raise

    def connect(self) -> socket.socket:
        """Starts ssh, and returns the socket that leads to it. Raises `SiteUnreachable`."""
        return self._start(self._way)

    def close(self) -> None:
        """Ends all processes of ssh that this object has started, but not the ControlMaster."""
        self._end(*self._processes)

    def user_id(self) -> int:
        """Returns the id that the user has at the site. Raises `SiteUnreachable`."""
        with self._start([self.site.target, "id -u"]) as answer, suppress(OSError, ValueError):
            answer.settimeout(self.site.timeout)
            return int(answer.recv(20))
        raise SiteUnreachable("it does not say which user this is there; give the id of a job")

    def _log_in(self, seconds: float) -> str:
        """Returns the version of the daemon. Chooses the way that leads to it."""
        target, path, failed = self.site.target, self.site.socket, "cannot be reached"
        for way in (["-W", path, target], [target, f"cucmctl bridge --socket {path}"]):
            self._way = way
            try:
                with Calls(self, timeout=seconds) as calls:
                    return calls.call("org.varlink.service.GetInfo", {}, _Info).version[:40]
            except ConnectionLost:
                words = self._last_words()
            except DaemonUnavailable as error:
                if not isinstance(error.__cause__, TimeoutError):
                    raise
                words = f"no answer within {seconds:g} s"
            text = f"{failed}: {(words.strip().splitlines() or ['ssh said nothing'])[-1][:300]}"
            if not _NOT_FORWARDED.search(words):
                break
            failed = f"its sshd does not open {path} for this user, and neither does its bridge"
        if "may not use the socket" in words:
            raise SocketNotPermitted(path, text)
        raise SiteUnreachable(f"{text}; try: ssh {target}")

    def _start(self, way: list[str]) -> socket.socket:
        self._end(*(process for process in self._processes if process.poll() is not None))
        # The kernel ends ssh when the thread that has started ssh ends, and threads of cucmweb end
        # early.
        ends = partial(end_with_parent, os.getpid(), SIGTERM)
        try:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                process = subprocess.Popen(
                    [*self._ssh, *way],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    preexec_fn=ends if threading.active_count() == 1 else None,  # noqa: PLW1509
                )
                self._processes.append(process)
                return ours.dup()
        except OSError as error:
            text = f"cannot be reached, because this host fails: {error}"
            raise SiteUnreachable(text) from None

    def _end(self, *processes: subprocess.Popen[bytes]) -> None:
        for process in processes:
            with process:
                process.terminate()  # ssh then turns on the echo of the terminal again
            with suppress(ValueError):  # another thread has just removed it
                self._processes.remove(process)

    def _last_words(self) -> str:
        """Returns what the last process of ssh said when it ended."""
        process = self._processes[-1]
        assert process.stderr is not None
        with suppress(subprocess.TimeoutExpired):  # a site can end the connection, not the command
            process.wait(1)
        os.set_blocking(process.stderr.fileno(), False)  # an old ControlMaster has it open, too
        with suppress(BlockingIOError):
            return os.read(process.stderr.fileno(), 4096).decode(errors="replace")
        return ""


def _control_path() -> str:
    """Returns the option with the path of ControlMasters, in a folder that only this user can use.
    Without such a folder, each connection logs in by itself.
    """
    folder = f"{os.environ.get('XDG_RUNTIME_DIR', '/tmp')}/cucmctl-{os.getuid()}"  # noqa: S108
    with suppress(OSError):
        os.mkdir(folder, 0o700)
    path = f"{folder}/%C" if is_private(folder, os.getuid()) else "none"
    return f"ControlPath={path}"
