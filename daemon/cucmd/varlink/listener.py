"""Gives a listening Unix socket: the one that systemd passed, or one at a path.

A socket never exists with another mode than its own, is never taken from a server that runs, and is
removed only by the process that made it.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from cucmd.paths import LONGEST_SOCKET

log = logging.getLogger(__name__)

# Connections that the kernel holds until they are accepted. The units have the same. It is short,
# since a user who connects and leaves fills it: others would wait behind thousands, for a second.
# Whoever finds it full waits in `connect`.
_BACKLOG = 256


class SocketInUse(OSError):
    """Another server listens at that path."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EADDRINUSE, "another server listens there", str(path))

    def __str__(self) -> str:
        return f"another server listens at {self.filename}"


@asynccontextmanager
async def open_unix_listener(
    path: Path,
    mode: int,
    inherited: Sequence[object],
    *,
    group: str | None = None,
) -> AsyncIterator[trio.SocketListener]:
    """Listens, at `inherited` if a Unix stream socket that listens is among it, else at `path`.

    A socket at `path` gets `mode`, and `group` if there is such a group and we may give it away.
    A folder that is missing is made. What a dead server has left there is replaced.
    Raises `SocketInUse`, and `OSError` naming the path.
    """
    for one in inherited:
        if (
            isinstance(one, socket.socket)
            and (one.family, one.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
            and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ):
            with one:
                yield trio.SocketListener(trio.socket.from_stdlib_socket(one))
            return
    with unix_socket(path, mode, group=group) as bound:
        yield trio.SocketListener(trio.socket.from_stdlib_socket(bound))


@contextmanager
def unix_socket(path: Path, mode: int, *, group: str | None = None) -> Iterator[socket.socket]:
    """Listens at `path`. All this, and what it raises, is as in `open_unix_listener`."""
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # Open to all, whatever the umask: the socket's own mode decides who may connect.
            path.parent.chmod(0o755)
    if len(os.fsencode(path)) > LONGEST_SOCKET:  # a rename would allow it, but no connect
        raise OSError(errno.ENAMETOOLONG, f"longer than {LONGEST_SOCKET} bytes", str(path))
    _check_free(path)
    new = path.with_name(f".{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        try:
            new.unlink(missing_ok=True)  # left by a dead process with the same id
            bound.bind(str(new))
            if (gid := gid_of(group)) is not None:
                try:
                    os.chown(new, -1, gid)
                except PermissionError as error:
                    # Usual where a person has started the server, who alone may connect then.
                    log.debug("the socket is not given to group '%s': %s", group, error)
            new.chmod(mode)  # after the change of the group, which may change it
            bound.listen(_BACKLOG)  # after this a client can connect
            new.rename(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            # With the path that was asked for, not that of the temporary file.
            reason = f"cannot listen: {error.strerror or error}"
            raise OSError(error.errno, reason, str(path)) from error
        ours = path.lstat()
        try:
            yield bound
        finally:
            if _is_at(path, ours):
                path.unlink()


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def gid_of(group: str | None) -> int | None:
    """Returns the id of that group, if there is one."""
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        # Usual where the daemon was started by hand; the package's sysusers file makes the groups.
        log.debug("there is no group '%s'", group)
        return None


def _check_free(path: Path) -> None:
    """Raises unless there is nothing at the path, or a socket without a listener."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        reason = "cannot listen: there is a file that is no socket"
        raise FileExistsError(errno.EEXIST, reason, str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass  # alive: its queue is full
    raise SocketInUse(path)
