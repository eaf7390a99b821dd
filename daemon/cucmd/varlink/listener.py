"""Opens a listening Unix socket: the one that systemd passed, or one at a path.

Nobody can connect to a new socket before it has its mode and its group. A socket is never taken
away from a server that runs, and only the process that made a socket removes it.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio

from cucmd.paths import LONGEST_SOCKET

log = logging.getLogger(__name__)

# The length of the kernel's queue of new connections, as in the systemd units. A user who connects
# and leaves again and again fills the queue, and in a long queue others would wait a second behind
# thousands of connections. A client that finds the queue full waits in `connect`.
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
    """Yields a listener, which is closed at the end of the block: the first listening Unix stream
    socket in `inherited`, or else a new one at `path`.

    A new socket gets `mode`, and also `group` if that group exists and this process may give the
    socket to it. A missing folder is made. A socket that a dead server left there is replaced.
    Raises `SocketInUse`, and `OSError` with the path.
    """
    for candidate in inherited:
        if (
            isinstance(candidate, socket.socket)
            and (candidate.family, candidate.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
            and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ):
            with candidate:
                yield trio.SocketListener(trio.socket.from_stdlib_socket(candidate))
            return
    with unix_socket(path, mode, group=group) as bound:
        yield trio.SocketListener(trio.socket.from_stdlib_socket(bound))


@contextmanager
def unix_socket(path: Path, mode: int, *, group: str | None = None) -> Iterator[socket.socket]:
    """Yields a new listening socket at `path`, as described at `open_unix_listener`."""
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # Everybody may enter the folder, whatever the umask is: the mode of the socket decides
            # who can connect.
            path.parent.chmod(0o755)
    if len(os.fsencode(path)) > LONGEST_SOCKET:  # `rename` would accept it, `connect` would not
        raise OSError(errno.ENAMETOOLONG, f"longer than {LONGEST_SOCKET} bytes", str(path))
    _check_free(path)
    new = path.with_name(f".{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        try:
            new.unlink(missing_ok=True)  # a dead process with the same id may have left it
            bound.bind(str(new))
            if (gid := gid_of(group)) is not None:
                try:
                    os.chown(new, -1, gid)
                except PermissionError as error:
                    # This is usual if a person started the server: only that person can connect.
                    log.debug("the socket is not given to group '%s': %s", group, error)
            new.chmod(mode)  # after `chown`, which can clear bits of the mode
            bound.listen(_BACKLOG)  # from here on a client can connect
            new.rename(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            # Name the path that the caller asked for, not that of the temporary file.
            reason = f"cannot listen: {error.strerror or error}"
            raise OSError(error.errno, reason, str(path)) from error
        ours = path.lstat()
        try:
            yield bound
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(path.lstat(), ours):  # another server may have replaced it
                    path.unlink()


def gid_of(group: str | None) -> int | None:
    """Returns the id of a group, or None if there is no such group."""
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        # This is usual if the daemon was started by hand: the package makes the groups.
        log.debug("there is no group '%s'", group)
        return None


def _check_free(path: Path) -> None:
    """Raises `OSError` unless the path is free, or has a socket at which nobody listens."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        reason = "cannot listen: a file that is not a socket is there"
        raise FileExistsError(errno.EEXIST, reason, str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass  # a server is alive there, and its queue is full
    raise SocketInUse(path)
