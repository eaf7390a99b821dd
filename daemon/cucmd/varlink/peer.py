"""What the kernel says of a peer: its credentials when it connected, and that it has hung up.

Nothing that a peer says of itself is believed, and nothing is asked of /proc.
"""

from __future__ import annotations

import array
import ctypes
import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from cucmd.varlink.interface import Caller

_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_GID = struct.Struct("I")
# asm-generic/socket.h, since Linux 4.13: so on x86 and ARM. Python does not know the name yet.
_SO_PEERGROUPS = 59
_MOST_PYTHON_READS = 1024  # bytes of an option; 256 groups


def caller_of(peer: socket.socket) -> Caller:
    """Raises `OSError` for a socket that is not a connected Unix one."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Caller(uid, gid, frozenset(_groups(peer)), pid)


def _groups(peer: socket.socket) -> Iterator[int]:
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_PYTHON_READS)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        packed = _long_option(peer.fileno(), _SO_PEERGROUPS)
    return (group for (group,) in _GID.iter_unpack(packed))


def _long_option(descriptor: int, option: int) -> bytes:
    """An option longer than Python reads: users of a directory service have hundreds of groups."""
    size = ctypes.c_uint32(65536 * _GID.size)  # NGROUPS_MAX
    value = array.array("B", bytes(size.value))
    address, _ = value.buffer_info()
    libc = ctypes.CDLL(None, use_errno=True)
    asked = (descriptor, socket.SOL_SOCKET, option, ctypes.c_void_p(address), ctypes.byref(size))
    if libc.getsockopt(*asked) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value.tobytes()[: size.value]


class HangUps:
    """Notices when a peer closes its socket, whatever its connection is doing meanwhile.

    A read does not show it: what the peer sent before comes first, and its end looks the same
    for a peer that has only shut down its sending side and waits for replies. EPOLLHUP means the
    close alone. One epoll serves all connections: no task and no descriptor for each of them.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> HangUps:
        return self

    def __exit__(self, *details: object) -> None:
        self._epoll.close()

    @contextmanager
    def watch(self, descriptor: int, on_hang_up: Callable[[], None]) -> Iterator[None]:
        """Calls `on_hang_up` once, if the peer hangs up while the body runs."""
        self._epoll.register(descriptor, 0)  # EPOLLHUP and EPOLLERR are always in
        self._watched[descriptor] = on_hang_up
        try:
            yield
        finally:
            self._forget(descriptor)

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0):
                on_hang_up = self._watched[descriptor]
                self._forget(descriptor)  # EPOLLHUP stays set, and would be reported for ever
                on_hang_up()

    def _forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
