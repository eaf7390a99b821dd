"""A node's host keys, looked at without a login.

The one rule: it goes as far as the key exchange and not a message further; there is no password
in this room, and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncssh
import trio

from cucmd.failure import Code, NodeFailed, timed_out
from cucmd.node_name import address
from cucmd.ssh.algorithms import Algorithms, client_algorithms, key_type
from cucmd.ssh.bridge import on_asyncio
from cucmd.ssh.causes import both_offers, failed_login
from cucmd.ssh.known_line import HostKey
from cucmd.ssh.link import Link, Opener, connect, options, public_key


async def scan_host_keys(
    host: str, port: int, *, seconds: float, legacy_algorithms: bool = False
) -> tuple[HostKey, ...]:
    """Every key that the node has of a type that we take, the one that a login would meet first.

    A node shows one key a connection, so there are as many connections as keys, one after
    another; `seconds` are for all of them. Below `open_bridge` only. Raises NodeFailed with
    connect_timeout, connection_refused, connection_lost, host_unreachable, no_common_algorithm
    or not_a_node.
    """
    algorithms = client_algorithms(legacy=legacy_algorithms)
    try:
        with trio.fail_after(seconds):
            return await _scan(host, port, algorithms, legacy=legacy_algorithms)
    except trio.TooSlowError:
        what = f"looking at the host keys of {address(host, port)}"
        raise NodeFailed(timed_out(Code.CONNECT_TIMEOUT, seconds, what)) from None


async def _scan(
    host: str, port: int, algorithms: Algorithms, *, legacy: bool
) -> tuple[HostKey, ...]:
    first, offered = await _look(host, port, algorithms, algorithms.host_keys, legacy=legacy)
    found = {first.algorithm: first}
    # Ours that the node has too, so that it can name what it likes and gets no more visits.
    for kind in dict.fromkeys(key_type(name) for name in algorithms.host_keys if name in offered):
        if kind not in found:
            names = [name for name in algorithms.host_keys if key_type(name) == kind]
            found[kind], _ = await _look(host, port, algorithms, names, legacy=legacy)
    return tuple(found.values())


async def _look(
    host: str, port: int, algorithms: Algorithms, names: Sequence[str], *, legacy: bool
) -> tuple[HostKey, frozenset[str]]:
    """(the key that is shown for these algorithms, all host key algorithms of the node)."""
    look = _Look("", legacy=legacy)
    link = Link(await connect(host, port), look)
    try:
        await on_asyncio(link.enter, host, port, options(algorithms, names))
    except _Seen:
        pass
    except Exception as error:  # a peer that breaks the protocol makes asyncssh raise anything
        if look.verdict is not None:
            raise look.verdict from None
        raise failed_login((host, port), look.username, error, look.progress(), str) from error
    finally:
        link.disconnect()
        await link.gone()
    assert look.key is not None, "asyncssh does not come to an end without one"
    _, theirs = both_offers(look.progress().hash_prefix)
    return look.key, frozenset(theirs["host key"])


class _Seen(Exception):
    """There is nothing more to see."""


class _Look(Opener):
    """Looks at the key, waits for the proof that it is the node's own, and leaves."""

    key: HostKey | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.key = public_key(key)
        return True

    def begin_auth(self, username: str) -> None:
        raise _Seen
