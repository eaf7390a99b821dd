"""Names of nodes in the DNS: which of them mean one node, and what a lookup may hold up.

The one rule: a DNS that answers late, or never, delays the nodes that are named in it, and
nothing else of the daemon.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
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
    """Lookups in threads of their own, one for all who ask the same question.

    trio would take the threads from the 40 that write files and ask the disk for all jobs, and
    keep one for each who has asked and gone.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = trio.CapacityLimiter(at_once)
        self._lookups: dict[object, _Lookup] = {}

    async def getaddrinfo(  # noqa: PLR0917  as trio has it
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        question = host, port, family, type, proto, flags
        return await self._ask(question, partial(socket.getaddrinfo, *question))

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        question = sockaddr, flags
        return await self._ask(question, partial(socket.getnameinfo, *question))

    async def _ask(self, question: object, ask: Callable[[], Any]) -> Any:
        while True:
            lookup = self._lookups.get(question) or await self._begin(question, ask)
            await lookup.done.wait()
            if lookup.error is not None:
                raise lookup.error
            if lookup.answered:
                return lookup.answer
            # Whoever asked first went away before it began.

    async def _begin(self, question: object, ask: Callable[[], Any]) -> _Lookup:
        lookup = self._lookups[question] = _Lookup()
        try:
            await self._places.acquire_on_behalf_of(lookup)
        except BaseException:  # whoever waits for this one asks anew
            self._end(question, lookup)
            raise
        answered = partial(self._answered, question, lookup)
        token = trio.lowlevel.current_trio_token()
        try:
            trio.lowlevel.start_thread_soon(ask, partial(_tell, token, answered))
        except RuntimeError as error:  # no thread is to be had
            lookup.error = error
            self._give_back(question, lookup)
        return lookup

    def _answered(self, question: object, lookup: _Lookup, outcome: Any) -> None:
        try:
            lookup.answer = outcome.unwrap()
            lookup.answered = True
        except Exception as error:
            lookup.error = error
        self._give_back(question, lookup)

    def _give_back(self, question: object, lookup: _Lookup) -> None:
        self._places.release_on_behalf_of(lookup)
        self._end(question, lookup)

    def _end(self, question: object, lookup: _Lookup) -> None:
        del self._lookups[question]
        lookup.done.set()


class _Lookup:
    """A question that a thread asks. Neither `answered` nor an `error` once `done`: never asked."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.answered = False
        self.answer: Any = None
        self.error: Exception | None = None


def _tell(token: trio.lowlevel.TrioToken, answered: Callable[[Any], None], outcome: Any) -> None:
    """In the thread."""
    with suppress(trio.RunFinishedError):  # the daemon did not wait for it
        token.run_sync_soon(answered, outcome)


async def locate(host: str, port: int) -> tuple[str, int]:
    """What all names of one node have in common: its address; its name if none is to be had.

    Of several addresses the first in order, IPv4 before IPv6: any choice would do that is the
    same each time. Never raises: whatever is wrong, connecting meets it too, and says it.
    """
    if _is_address(host):
        return node_key(host, port)
    with trio.move_on_after(WITHIN), suppress(Exception):
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        order = min((family != socket.AF_INET, str(address[0])) for family, *_, address in found)
        return node_key(order[1], port)
    return node_key(host, port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
