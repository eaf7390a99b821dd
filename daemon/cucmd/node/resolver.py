"""Looks up names of nodes in the DNS, and names of time zones.

A DNS that answers late, or never, delays only the nodes whose names it has.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import trio

from cucmd.node_name import node_key

# Seconds for `locate`. Connecting to the node looks the name up again, with a deadline of its own,
# and reports a DNS that does not answer.
WITHIN = 5.0

# A lookup cannot be cancelled, only abandoned. Its thread lasts until libc gives up: 10 s with one
# silent name server and 28 s with three (measured). By default 128 nodes are worked on at once, and
# each name is looked up twice. Even if all these lookups hang, other nodes must still get a thread.
# A thread that hangs costs 21 KB (measured).
THREADS = 1024


class Resolver(trio.abc.HostnameResolver):
    """Looks names up in threads of its own, which a cancel abandons.

    Without this class trio would use its usual 40 threads, which also do the file work of all jobs,
    and a cancel would wait for the answer.
    """

    def __init__(
        self, threads: int = THREADS, look_up: Callable[..., Any] = socket.getaddrinfo
    ) -> None:
        self._look_up = look_up
        # An abandoned lookup counts until its thread ends.
        self._limiter = trio.CapacityLimiter(threads)

    async def getaddrinfo(  # noqa: PLR0917  as trio has it
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        return await self._ask(self._look_up, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        return await self._ask(socket.getnameinfo, sockaddr, flags)

    async def _ask(self, ask: Callable[..., Any], *question: Any) -> Any:
        return await trio.to_thread.run_sync(
            ask, *question, abandon_on_cancel=True, limiter=self._limiter
        )


async def locate(host: str, port: int) -> tuple[str, int]:
    """Returns a key that is the same for all names of a node: its address and port.

    If a name has several addresses, the key has the lowest, IPv4 before IPv6, so that it is the
    same each time. If no address is found, the key has the name. Never raises: connecting to the
    node meets the same error, and reports it.
    """
    try:
        # ::ffff:192.0.2.9 is the same node as 192.0.2.9.
        mapped = getattr(ipaddress.ip_address(host), "ipv4_mapped", None)
        return node_key(str(mapped or host), port)
    except ValueError:
        pass  # `host` is a name
    with trio.move_on_after(WITHIN), suppress(Exception):
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        order = min((family != socket.AF_INET, str(address[0])) for family, *_, address in found)
        return node_key(order[1], port)
    return node_key(host, port)


def find_zone(name: str) -> tzinfo | None:
    """Returns the time zone called `name`, or None if this machine's database has no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: America/Indiana is a folder
        return None
