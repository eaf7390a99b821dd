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
processes of ssh. After a SIGKILL, each of them ends when the daemon sends something.

A site can send whatever it likes. So its replies are read by the same client as those of a local
socket, and of what ssh says only the first bytes are read, which are then made visible.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from contextlib import suppress
from typing import Self

import msgspec

from cucmctl.client.calls import Calls
from cucmctl.client.errors import (
    ConnectionLost,
    DaemonUnavailable,
    ProtocolError,
    SocketNotPermitted,
)
from cucmctl.client.wire import Remote
from cucmctl.sites.places import Site
from cucmd.paths import LONGEST_SOCKET, is_private
from cucmd.protocol.requests import INTERFACE

# Sites that are logged in to at a time. With a jump host all of them reach one sshd, which refuses
# some logins if ten come at once (MaxStartups).
AT_A_TIME = 8
# Seconds more for a login that asks for a password. An sshd waits as long (LoginGraceTime).
_TYPING = 120.0
# Bytes behind the name of the folder for ControlMasters: a slash, the name that ssh makes from %C,
# and what it adds to it while it makes the socket.
_CONTROL_NAME = 1 + 40 + 17
_OPTIONS = (
    *("ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR", "RemoteCommand=none"),
    *("ClearAllForwardings=yes", "ControlMaster=auto", "ControlPersist=60"),
)
# What ssh says if it has logged in, but cannot forward.
_NOT_FORWARDED = re.compile("stdio forwarding|open failed", re.IGNORECASE)


class SiteUnreachable(DaemonUnavailable):
    """A site cannot be reached."""


class _Info(msgspec.Struct):
    """Holds what is needed of the reply of `org.varlink.service.GetInfo`."""

    version: str
    interfaces: tuple[str, ...]


class Connection(Remote):
    """Leads to the daemon of a site: a client takes this in place of the path of a socket.

    asks  whether ssh may ask for a password or about a host key, at the terminal

    version  the version of the daemon at the site

    Use it as a context manager, or call `close`. The constructor logs in, which takes up to the
    site's `timeout`, or longer while ssh waits for a password. It raises `SiteUnreachable`, also if
    no process can be started here, `SocketNotPermitted` and `ProtocolError`. Then nothing is
    left open.
    """

    def __new__(cls, site: Site, *, asks: bool = False) -> Self:
        return super().__new__(cls, f"{site.target}{site.socket}")

    def __init__(self, site: Site, *, asks: bool = False) -> None:
        self.site = site
        batch = "no" if asks else "yes"
        own = (f"ConnectTimeout={site.timeout:g}", f"BatchMode={batch}", _control_path())
        self._ssh = ["ssh", "-axT", *(f"-o{option}" for option in (*_OPTIONS, *own))]
        self._how = ["-W", site.socket, site.target]
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self.version = self._log_in(site.timeout + (_TYPING if asks else 0))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def connect(self) -> socket.socket:
        """Starts ssh, and returns the socket that leads to it. Raises `SiteUnreachable`."""
        return self._start(self._how)

    def close(self) -> None:
        """Ends all processes of ssh that this object has started, but not the ControlMaster."""
        self._end(*self._processes)

    def ask_shell(self, command: str) -> str:
        """Returns the first bytes that a command at the site prints, as text. Returns "" if it
        prints nothing within the site's `timeout`. Raises `SiteUnreachable`.
        """
        with self._start([self.site.target, command]) as answer, suppress(OSError):
            answer.settimeout(self.site.timeout)
            return answer.recv(4096).decode(errors="replace")
        return ""

    def _log_in(self, seconds: float) -> str:
        """Returns the version of the daemon. Chooses the way that leads to it."""
        try:
            return self._ask_version(seconds)
        except ConnectionLost:
            words = self._last_words()
            if not _NOT_FORWARDED.search(words):
                text = f"cannot be reached: {_last_line(words)}; try: ssh {self.site.target}"
                raise SiteUnreachable(text) from None
        self._how = [self.site.target, f"cucmctl bridge --socket {self.site.socket}"]
        try:
            return self._ask_version(seconds)
        except ConnectionLost:
            words = self._last_words()
            text = f"its sshd does not open {self.site.socket} for this user, and neither does"
            text += f" its bridge: {_last_line(words)}"
            if "may not use the socket" in words:
                raise SocketNotPermitted(self.site.socket, text) from None
            raise SiteUnreachable(text) from None

    def _ask_version(self, seconds: float) -> str:
        try:
            with Calls(self, timeout=seconds) as calls:
                info = calls.call("org.varlink.service.GetInfo", {}, _Info)
        except DaemonUnavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                text = f"no answer within {seconds:g} s; try: ssh {self.site.target}"
                raise SiteUnreachable(f"cannot be reached: {text}") from None
            raise
        if INTERFACE not in info.interfaces:
            raise ProtocolError(f"{self} is not the socket of a cucmd")
        return info.version[:40]

    def _start(self, how: list[str]) -> socket.socket:
        self._end(*(process for process in self._processes if process.poll() is not None))
        try:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                process = subprocess.Popen(
                    [*self._ssh, *how],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
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
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:  # a site can end the connection and not the command
            process.terminate()
            process.wait()
        os.set_blocking(process.stderr.fileno(), False)  # an old ControlMaster has it open, too
        with suppress(BlockingIOError):
            return os.read(process.stderr.fileno(), 4096).decode(errors="replace")
        return ""


def _last_line(words: str) -> str:
    return (words.strip().splitlines() or ["ssh ended without a message"])[-1][:300]


def _control_path() -> str:
    """Returns the option with the path of ControlMasters: `none` if no folder is short and safe.

    With `none` each connection logs in by itself.
    """
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    # ssh splits the path at blanks, and expands % and ~.
    usable = re.fullmatch(r"/[A-Za-z0-9_./-]+", folder) and os.access(folder, os.W_OK)
    folder = f"{folder}/cucmctl" if usable else f"/tmp/cucmctl-{os.getuid()}"  # noqa: S108
    with suppress(OSError):
        os.mkdir(folder, 0o700)
    fits = len(folder) + _CONTROL_NAME <= LONGEST_SOCKET
    path = f"{folder}/%C" if fits and is_private(folder, os.getuid()) else "none"
    return f"ControlPath={path}"
