"""Names of nodes in the DNS: which of them mean one node, and what a lookup may hold up.

The one rule: a DNS that answers late, or never, delays the nodes that are named in it, and
nothing else of the daemon.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from cucmd.node_name import node_key

# Seconds. Connecting asks again, with a deadline of its own, and says so if no answer comes.
WITHIN = 5.0
# A lookup cannot be cancelled, only left behind: libc may keep its thread for half a minute.
_AT_ONCE = 256


class Resolver(trio.abc.HostnameResolver):
    """Lookups in threads of their own, so that those left behind are not missed elsewhere.

    trio would take them from the 40 that write files and ask the disk for all jobs.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = trio.CapacityLimiter(at_once)

    async def getaddrinfo(  # noqa: PLR0917  as trio has it
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        ask = partial(socket.getaddrinfo, host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=self._places)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        ask = partial(socket.getnameinfo, sockaddr, flags)
        return await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=self._places)


async def locate(host: str, port: int) -> tuple[str, int]:
    """What all names of one node have in common: its address; its name if none is to be had.

    Of several addresses the first in order, IPv4 before IPv6: any choice would do that is the
    same each time.
    """
    with trio.move_on_after(WITHIN), suppress(OSError, UnicodeError):
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        order = min((family != socket.AF_INET, str(address[0])) for family, *_, address in found)
        return node_key(order[1], port)
    return node_key(host, port)
