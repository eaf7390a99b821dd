"""Connects to a site: one process of `ssh`, and a local socket that leads to the daemon's socket.

    state           what happens                     next
    logging in      ssh makes the local socket       asking
    logging in      ssh ends, or the time is over    `SiteUnreachable` is raised
    asking          the daemon answers               connected
    asking          sshd does not open the socket    the same with `cucmctl bridge` at the site
    connected       the link breaks                  a new ssh is started, and logs in again

Every connection to the local socket is a channel within the one connection of ssh, so only the
first costs a login. `ssh -L` has forwarded sockets since OpenSSH 6.7, while `ssh -W` needs 9.4 or
later. An sshd may forbid both; then each connection to the local socket starts `cucmctl bridge` at
the site, through the ControlMaster of the same ssh.

ssh is started by a small shell script, which ends ssh and removes its files when the lifeline, its
standard input, is closed. The kernel closes the lifeline even if this process is killed. A site can
send whatever it likes. So its replies are read by the same client as those of a local socket, only
the first bytes of a command's output are read, and what ssh says is shortened and made visible.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from typing import Self

import msgspec

from cucmctl.client.calls import Calls
from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, NotPermitted, ProtocolError
from cucmctl.sites.places import Site
from cucmd.protocol.requests import INTERFACE

# $1 begins the names of the files of this connection, and $2 is their folder; then comes the
# command of ssh. If ssh ends after a login, the link broke, and ssh is started again. The file .up
# says that there was a login. The script ignores the signals that a terminal sends to all of its
# processes, because only cucmctl decides when ssh ends. Only ssh may write to standard error: when
# the script ends, cucmctl may no longer be there to read from it.
_SCRIPT = """\
trap '' INT QUIT HUP; trap : TERM
exec 3<&0 4>&2 2>/dev/null; at=$1 folder=$2 pause=1; shift 2
until_end() {
    "$@" </dev/null >/dev/null 2>&4 3<&- 4>&- & work=$!
    (read -r end <&3; touch "$at.end"; kill $work) & reader=$!
    wait $work
    kill $reader $work; wait
}
while [ ! -e "$at.end" ]; do
    rm -f "$at.s" "$at.c"
    until_end "$@"
    [ -e "$at.up" ] || break
    until_end sleep $pause; pause=$((pause < 16 ? pause * 2 : 16))
done
rm -f "$at".*; rmdir "$folder"
"""
# Sites that are logged in to at a time. With a jump host all of them reach one sshd, which refuses
# some logins if ten come at once (MaxStartups).
AT_A_TIME = 8
_HOST_FAILS = "cannot be reached, because this host fails"
# Seconds between two looks at whether ssh has logged in.
_PAUSE = 0.02
# Bytes. The path of a socket may have 107 bytes. The ControlMaster's socket needs the most: behind
# this folder come the name of a folder and of a file, and 17 more bytes while ssh makes the socket.
_LONGEST_FOLDER = 60
_SAFE_FOLDER = re.compile(r"/[A-Za-z0-9_./-]+")
# A pattern of what ssh says -> what is wrong and what to do. {0} is the host, as given to ssh.
_REASONS = {
    r"REMOTE HOST IDENTIFICATION HAS CHANGED": "its host key is not the known one. If the host was "
    "reinstalled, remove the old key (ssh-keygen -R {0}) and log in once: ssh {0}",
    r"Host key verification failed|No \S+ host key is known": "its host key is not known; compare "
    "it and log in once: ssh {0}",
    r"Permission denied|Too many authentication failures|No supported authentication": "the login "
    "was refused; try: ssh {0}",
    r"Could not resolve hostname": "no host has that name; see sites.toml",
    r"Connection refused": "the connection was refused; does sshd run there?",
    r"timed out|Timeout|timeout": "the host does not answer; try: ssh {0}",
    r"No route to host|Network is unreachable": "there is no route to the host; try: ssh {0}",
}


class SiteUnreachable(DaemonUnavailable):
    """A site cannot be reached."""


class SiteNotPermitted(NotPermitted):
    """The daemon of a site does not let this user in."""

    def __init__(self, text: str) -> None:
        super().__init__("org.varlink.service.PermissionDenied", None)
        self._text = text

    def __str__(self) -> str:
        return self._text


class _Info(msgspec.Struct):
    """Holds what is needed of the reply of `org.varlink.service.GetInfo`."""

    version: str
    interfaces: tuple[str, ...]


class SocketOf(str):
    """The path of a local socket that leads to a site. Messages show the site's place instead."""

    __slots__ = ("place",)
    place: str

    def __format__(self, specification: str) -> str:
        return self.place


class Connection:
    """Holds the connection to a site. Use it as a context manager, or call `close`.

    asks  whether ssh may ask for a password or about a host key, at the terminal

    path     the path of the local socket
    version  the version of the daemon at the site

    The constructor logs in, which takes up to the site's `timeout`, or longer while ssh waits for a
    password. It raises `SiteUnreachable`, also if no folder can be made or no process started here,
    `SiteNotPermitted`, `ProtocolError` and `DaemonUnavailable`. Then nothing is left open.
    """

    def __init__(self, site: Site, *, asks: bool = False) -> None:
        self.site = site
        self._listener: socket.socket | None = None
        try:
            self._log_in(asks=asks)
        except OSError as error:
            raise SiteUnreachable(f"{_HOST_FAILS}: {error}") from None

    def _log_in(self, *, asks: bool) -> None:
        """Raises what the constructor raises, and `OSError`."""
        site = self.site
        self._folder = tempfile.mkdtemp(prefix="cucmctl-", dir=_runtime_folder())
        self._at = f"{self._folder}/at"
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "sh", self._at, self._folder, *self._ssh(asks=asks)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError:
            os.rmdir(self._folder)
            raise
        try:
            deadline = time.monotonic() + site.timeout
            self._wait_for_login(None if asks else deadline)
            left = site.timeout if asks else max(1.0, deadline - time.monotonic())
            self.version = self._ask_version(left)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def path(self) -> SocketOf:
        path = SocketOf(f"{self._at}.{'b' if self._listener else 's'}")
        path.place = self.site.place
        return path

    def close(self) -> None:
        """Ends ssh, and waits until it has ended and its files are removed."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread
            self._listener.close()
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stderr.close()

    def ask_shell(self, command: str) -> str:
        """Returns the first bytes that a command at the site prints, as text. Returns "" if it
        prints nothing within the site's `timeout`. Raises `SiteUnreachable`.
        """
        try:
            return _first_words(self._channel(command), "stdout", self.site.timeout)
        except OSError as error:
            raise SiteUnreachable(f"{_HOST_FAILS}: {error}") from None

    def _ssh(self, *, asks: bool) -> list[str]:
        """Returns the command that makes the local socket and is the ControlMaster."""
        options = [
            f"BatchMode={'no' if asks else 'yes'}",
            f"ConnectTimeout={self.site.timeout:g}",
            *("ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR"),
            *("ControlPersist=no", "StreamLocalBindUnlink=yes", "StreamLocalBindMask=0177"),
            *("ExitOnForwardFailure=no", "ForkAfterAuthentication=no", "PermitLocalCommand=no"),
            *("RemoteCommand=none", "RequestTTY=no", "ForwardAgent=no", "ForwardX11=no"),
        ]
        forward = f"{self._at}.s:{self.site.socket}"
        command = ["ssh", "-N", "-M", "-S", f"{self._at}.c", "-L", forward]
        return [*command, *(f"-o{option}" for option in options), *self._target()]

    def _channel(self, command: str) -> list[str]:
        """Returns the command that runs `command` at the site, over the connection."""
        options = ("-T", "-oBatchMode=yes", "-oLogLevel=ERROR", "-oRemoteCommand=none")
        return ["ssh", "-S", f"{self._at}.c", *options, *self._target(), command]

    def _target(self) -> list[str]:
        site = self.site
        user = ["-l", site.user] if site.user else []
        port = ["-p", str(site.port)] if site.port else []
        return [*user, *port, "--", site.host]

    def _wait_for_login(self, deadline: float | None) -> None:
        """Waits until the local socket can be opened. ssh makes this socket after the login."""
        while not _can_be_opened(f"{self._at}.s"):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                words = os.read(self._process.stderr.fileno(), 4096).decode(errors="replace")
                raise SiteUnreachable(_why(words, self.site))
            if deadline is not None and time.monotonic() >= deadline:
                text = f"cannot be reached: no login within {self.site.timeout:g} s"
                raise SiteUnreachable(f"{text}; try: ssh {self.site.host}")
            time.sleep(_PAUSE)
        with open(f"{self._at}.up", "w"):
            pass

    def _ask_version(self, seconds: float) -> str:
        """Asks the daemon for its version, by way of `cucmctl bridge` if need be."""
        try:
            return self._version(seconds)
        except ConnectionLost:  # sshd has not opened the socket
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self.path)
            self._listener.listen()
            threading.Thread(target=self._bridge, args=(self._listener,), daemon=True).start()
        try:
            return self._version(seconds)
        except ConnectionLost:
            words = _first_words(self._channel(self._bridge_command), "stderr", seconds)
            text = f"its sshd does not open {self.site.socket} for this user, and neither does"
            said = words.strip().splitlines() or ["it says nothing"]
            error = SiteNotPermitted if "may not use the socket" in words else SiteUnreachable
            raise error(f"{text} its bridge: {said[-1][:300]}") from None

    def _version(self, seconds: float) -> str:
        with Calls(self.path, timeout=round(seconds, 1)) as calls:
            info = calls.call("org.varlink.service.GetInfo", {}, _Info)
        if INTERFACE not in info.interfaces:
            raise ProtocolError(f"{self.site.place} is not the socket of a cucmd")
        return info.version[:40]

    @property
    def _bridge_command(self) -> str:
        return f"cucmctl bridge --socket {self.site.socket}"

    def _bridge(self, listener: socket.socket) -> None:
        """Starts `cucmctl bridge` at the site for each connection to the local socket."""
        processes: list[subprocess.Popen[bytes]] = []
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            processes = [each for each in processes if each.poll() is None]
            with connection, suppress(OSError):  # if no process can be started, it is closed
                command, end = self._channel(self._bridge_command), connection.fileno()
                nowhere = subprocess.DEVNULL
                started = subprocess.Popen(command, stdin=end, stdout=end, stderr=nowhere)
                processes.append(started)


def _can_be_opened(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return not connection.connect_ex(path)


def _first_words(command: list[str], stream: str, seconds: float) -> str:
    """Returns the first bytes that a command writes within `seconds`, as text, and ends it."""
    none, pipe = subprocess.DEVNULL, subprocess.PIPE
    streams = {"stdin": none, "stdout": none, "stderr": none, stream: pipe}
    with subprocess.Popen(command, **streams) as process:  # type: ignore[call-overload]
        written = getattr(process, stream)
        ready, _, _ = select.select([written], [], [], seconds)
        words: bytes = os.read(written.fileno(), 4096) if ready else b""
        process.kill()
    return words.decode(errors="replace")


def _why(words: str, site: Site) -> str:
    """Returns why ssh did not log in, and what to do, from the words of ssh."""
    for pattern, reason in _REASONS.items():
        if re.search(pattern, words):
            return f"cannot be reached: {reason.format(site.host)}"
    said = words.strip().splitlines() or ["ssh ended without a message"]
    return f"cannot be reached: {said[-1][:300]}"


def _runtime_folder() -> str:
    """Returns a folder for files that only this user can open; its path is short and plain."""
    for folder in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        usable = _SAFE_FOLDER.fullmatch(folder) and len(folder) <= _LONGEST_FOLDER
        if usable and os.access(folder, os.W_OK):
            return folder
    return "/tmp"  # noqa: S108  # mkdtemp makes a folder in it that only this user can open
