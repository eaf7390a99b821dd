"""Gives the sockets that it listens at: those that systemd has opened, else one of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from cucmd.service.systemd import inherited_sockets
from cucmd.varlink.listener import unix_socket
from cucmweb.config import ListenAddress

SOCKET_MODE = 0o660
SOCKET_GROUP = "cucm"  # whose members are operators at the daemon's own socket too
_BACKLOG = 256  # as the unit has it


class CannotListen(Exception):
    """The text is the address, and the reason."""


@contextmanager
def open_sockets(listen: ListenAddress) -> Iterator[list[tuple[socket.socket, ListenAddress]]]:
    """Opens those of systemd, or one at `listen`, each with its address; they are closed at the
    end.

    Call it once: the environment that names systemd's is cleared. Raises `CannotListen`.
    """
    with ExitStack() as stack:
        if inherited := inherited_sockets():
            yield [(stack.enter_context(one), _address_of(one)) for one in inherited]
            return
        try:
            if isinstance(listen, Path):
                opening: AbstractContextManager[socket.socket] = unix_socket(
                    listen, SOCKET_MODE, group=SOCKET_GROUP
                )
            else:
                family, *_ = socket.getaddrinfo(*listen, type=socket.SOCK_STREAM)[0]
                # `::` stands for the addresses of IPv4 too.
                both = listen[0] == "::" and socket.has_dualstack_ipv6()
                # It sets SO_REUSEADDR: a restart need not wait for the last connections.
                opening = socket.create_server(
                    listen, family=family, backlog=_BACKLOG, dualstack_ipv6=both
                )
            bound = stack.enter_context(opening)
        except OSError as error:
            reason = str(error.strerror or error).removeprefix("cannot listen: ")
            raise CannotListen(f"cannot listen at {written(listen)}: {reason}") from error
        # A Unix socket gets its path when it listens, and keeps the name that it had before.
        yield [(bound, listen if isinstance(listen, Path) else _address_of(bound))]


def _address_of(bound: socket.socket) -> ListenAddress:
    name = bound.getsockname()
    return Path(name) if bound.family == socket.AF_UNIX else (name[0], name[1])


def written(address: ListenAddress) -> str:
    """Writes an address as `listen` of the configuration has it."""
    if isinstance(address, Path):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
