"""Looks up names outside: those of nodes in the DNS, and those of time zones.

A DNS that answers late, or never, delays the nodes that are named in it, and nothing else of the
daemon. Which names mean one node, `locate` says.
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

# Seconds. Connecting asks again, with a deadline of its own, and says so if no answer comes.
WITHIN = 5.0

# A lookup cannot be cancelled, only abandoned: its thread lasts until libc gives up, measured 10 s
# with one silent name server and 28 s with three. By default 128 nodes are worked on at once, and
# each is asked for twice in that time; beside those there must be a thread for a node whose name
# server answers. Measured: a thread that hangs costs 21 KB.
THREADS = 1024


class Resolver(trio.abc.HostnameResolver):
    """Looks names up in threads of its own.

    trio would take them from the 40 that write files and ask the disk for all jobs, and a cancel
    would wait for the answer. Equal questions are not put together: one name is asked for by 16
    jobs at once at most, twice each, which is far from THREADS.
    """

    def __init__(self, threads: int = THREADS) -> None:
        # An abandoned lookup keeps its place until its thread ends.
        self._limiter = trio.CapacityLimiter(threads)

    async def getaddrinfo(  # noqa: PLR0917  as trio has it
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        return await self._ask(socket.getaddrinfo, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        return await self._ask(socket.getnameinfo, sockaddr, flags)

    async def _ask(self, ask: Callable[..., Any], *question: Any) -> Any:
        return await trio.to_thread.run_sync(
            ask, *question, abandon_on_cancel=True, limiter=self._limiter
        )


async def locate(host: str, port: int) -> tuple[str, int]:
    """Finds what all names of a node have in common: its address; its name if none is to be had.

    Of several addresses the first in order, IPv4 before IPv6: any choice would do that is the
    same each time. Never raises: whatever is wrong, connecting meets it too, and says it.
    """
    try:
        # ::ffff:192.0.2.9 reaches the node at 192.0.2.9.
        mapped = getattr(ipaddress.ip_address(host), "ipv4_mapped", None)
        return node_key(str(mapped or host), port)
    except ValueError:
        pass  # it is a name
    with trio.move_on_after(WITHIN), suppress(Exception):
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        order = min((family != socket.AF_INET, str(address[0])) for family, *_, address in found)
        return node_key(order[1], port)
    return node_key(host, port)


def find_zone(name: str) -> tzinfo | None:
    """Returns the time zone of that name; None where this machine's zone database has none such."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as America/Indiana
        return None
