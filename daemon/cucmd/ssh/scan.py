"""Asks a node for its host keys, without a login.

The connection ends after the key exchange. No password is sent, and no key is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import asyncssh
import trio

from cucmd.failure import Code, NodeFailed, timeout_failure
from cucmd.node_name import address
from cucmd.ssh.algorithms import Algorithms, key_type, usual_algorithms
from cucmd.ssh.bridge import on_asyncio
from cucmd.ssh.causes import both_offers, failed_login
from cucmd.ssh.known_line import PublicKey, public_key
from cucmd.ssh.link import ConnectionCallbacks, Link, client_options, connect


async def scan_host_keys(
    host: str, port: int, *, seconds: float, legacy_algorithms: bool = False
) -> tuple[PublicKey, ...]:
    """Returns the node's host keys of all types that we accept, first the key for a login.

    A node shows one key per connection, so this opens one connection for each key, one after
    another. `seconds` limits the time of all connections together. The caller must run in the body
    of `open_bridge`, or in a task that the body started.

    Raises NodeFailed with connect_timeout, connection_refused, connection_lost, host_unreachable,
    no_common_algorithm or not_a_node.
    """
    algorithms = usual_algorithms(legacy=legacy_algorithms)
    try:
        with trio.fail_after(seconds):
            probe = partial(_probe_key, host, port, algorithms, legacy=legacy_algorithms)
            first, offered = await probe(algorithms.host_keys)
            found = {first.algorithm: first}
            # We ask only for types that we accept. Otherwise a hostile node could make us open any
            # number of connections by offering that many types.
            for kind in dict.fromkeys(
                key_type(name) for name in algorithms.host_keys if name in offered
            ):
                if kind not in found:
                    names = [name for name in algorithms.host_keys if key_type(name) == kind]
                    found[kind], _ = await probe(names)
            return tuple(found.values())
    except trio.TooSlowError:
        what = f"asking for the host keys of {address(host, port)}"
        raise NodeFailed(timeout_failure(Code.CONNECT_TIMEOUT, seconds, what)) from None


async def _probe_key(
    host: str, port: int, algorithms: Algorithms, names: Sequence[str], *, legacy: bool
) -> tuple[PublicKey, frozenset[str]]:
    """Returns the node's key for these algorithms, and all host key algorithms that it offers."""
    probe = _Probe("", legacy=legacy)
    link = Link(await connect(host, port), probe)
    try:
        await on_asyncio(link.authenticate, host, port, client_options(algorithms, tuple(names)))
    except _KeySeen:
        pass
    except Exception as error:  # asyncssh may raise any exception if a peer breaks the protocol
        if probe.end_reason is not None:
            raise probe.end_reason from None
        raise failed_login((host, port), probe.username, error, probe.progress(), str) from error
    finally:
        link.disconnect()
        await link.wait_closed()
    assert probe.key is not None, "asyncssh calls begin_auth only after it has verified a key"
    _, theirs = both_offers(probe.progress().hash_prefix)
    return probe.key, frozenset(theirs["host key"])


class _KeySeen(Exception):
    """Ends the connection, after the key was received and verified."""


class _Probe(ConnectionCallbacks):
    """Stores the key, and ends the connection once asyncssh has verified the signature."""

    key: PublicKey | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.key = public_key(key)
        return True

    def begin_auth(self, username: str) -> None:
        raise _KeySeen
