"""Opens the listening sockets: those that systemd passed, or else a new one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from cucmd.service.systemd import FIRST_DESCRIPTOR, inherited_sockets
from cucmd.varlink.listener import unix_socket
from cucmweb.config import ListenAddress

SOCKET_MODE = 0o660
SOCKET_GROUP = "cucm"  # its members are operators at the daemon's own socket too
_BACKLOG = 256  # the same as in cucmweb.socket


class CannotListen(OSError):
    """Raised if the server cannot listen. The text has the address and the reason."""


@contextmanager
def open_sockets(
    listen: ListenAddress, first: int = FIRST_DESCRIPTOR
) -> Iterator[list[tuple[socket.socket, ListenAddress]]]:
    """Yields the sockets of systemd, or a new one at `listen`, each with its address. They are
    closed at the end of the block.

    Can only be called once, since it clears the variables of systemd. Raises `CannotListen`.

    first  the first descriptor that systemd passes
    """
    with ExitStack() as stack:
        if inherited := inherited_sockets(first):
            yield [(stack.enter_context(one), _address_of(one)) for one in inherited]
            return
        try:
            if isinstance(listen, Path):
                opening: AbstractContextManager[socket.socket] = unix_socket(
                    listen, SOCKET_MODE, group=SOCKET_GROUP
                )
            else:
                family, *_ = socket.getaddrinfo(*listen, type=socket.SOCK_STREAM)[0]
                # `::` means the addresses of IPv4 too.
                both = listen[0] == "::" and socket.has_dualstack_ipv6()
                # This sets SO_REUSEADDR, so a restart need not wait for the last connections.
                opening = socket.create_server(
                    listen, family=family, backlog=_BACKLOG, dualstack_ipv6=both
                )
            bound = stack.enter_context(opening)
        except OSError as error:
            reason = str(error.strerror or error).removeprefix("cannot listen: ")
            raise CannotListen(f"cannot listen at {address_text(listen)}: {reason}") from error
        # The name of a Unix socket is the temporary path at which it was made (unix_socket).
        yield [(bound, listen if isinstance(listen, Path) else _address_of(bound))]


def _address_of(bound: socket.socket) -> ListenAddress:
    name = bound.getsockname()
    return Path(name) if bound.family == socket.AF_UNIX else (name[0], name[1])


def address_text(address: ListenAddress) -> str:
    """Returns an address in the form of `listen` in the configuration."""
    if isinstance(address, Path):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
