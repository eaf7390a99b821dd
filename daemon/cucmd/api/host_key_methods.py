"""Answers the calls of `io.cucmd.Jobs` that list, add and forget the host keys of nodes.

A key that came over the network is remembered only if a person asked for exactly that node, and
never in addition to a different key of the node.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeAlias

import trio

from cucmd.api.refusals import error, invalid
from cucmd.failure import NodeFailed
from cucmd.job.node import Node
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.plan.known_clusters import node_keys
from cucmd.protocol import errors as wire_errors
from cucmd.protocol import knowledge as wire
from cucmd.varlink import Caller

log = logging.getLogger(__name__)


class Key(Protocol):
    """A host key. Its `str()` is `TYPE BASE64`, or the line of known_hosts that it comes from."""

    @property
    def algorithm(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


class KeyStore(Protocol):
    """The host keys that the daemon remembers."""

    def entries(self) -> Sequence[tuple[str, Key]]:
        """Returns (name of the node, or a pattern of known_hosts, key) for each key."""

    def add(
        self, node: str, *keys: str, check: Callable[[Sequence[Key]], None] | None = None
    ) -> object:
        """Adds all keys or none. Blocks. The change is durable when it returns.

        check: called with the keys that are already known for the node, while nobody else can add
        a key. If it raises, nothing is added.
        Raises `ValueError` for a text that is not a key, and `OSError`.
        """

    def forget(self, node: str) -> int:
        """Forgets the keys of a node, durably. Returns their number. Blocks. Raises `OSError`."""


# Asks a node for its keys, with its host and port. Raises `NodeFailed`.
Scan: TypeAlias = Callable[[str, int], Awaitable[Sequence[Key]]]


# Returns the nodes with what discoveries say of them.
Describe: TypeAlias = Callable[[Sequence[Node]], Awaitable[Sequence[Node]]]


async def as_they_are(nodes: Sequence[Node]) -> Sequence[Node]:
    return nodes


class HostKeyMethods:
    """Answers the calls that list, add and forget host keys."""

    def __init__(self, known: KeyStore, scan: Scan, describe: Describe = as_they_are) -> None:
        self._known = known
        self._describe = describe
        self._scan = scan

    async def list(
        self, caller: Caller, request: wire.ListHostKeysRequest
    ) -> wire.ListHostKeysReply:
        return wire.ListHostKeysReply(await self._keys())

    async def add(self, caller: Caller, request: wire.AddHostKeyRequest) -> wire.HostKeysReply:
        with _refusals(request.node):
            wanted = node_key(*parse_node(request.node))
            if request.key is None:
                shown = await self._scan(*parse_node(request.node))
                check = partial(_refuse_a_change, request.node, shown)
                add = partial(self._known.add, request.node, *map(str, shown), check=check)
            else:
                add = partial(self._known.add, request.node, request.key)
            try:
                await trio.to_thread.run_sync(add)
            except ValueError as reason:
                if request.key is None:
                    raise
                raise invalid("key", f"{request.key[:40]!r}: {reason}") from None
        log.info("host key of %s added by %s", request.node, caller, extra=caller.for_log)
        keys = await self._keys()
        return wire.HostKeysReply(tuple(key for key in keys if wanted in node_keys(key.node)))

    async def forget(
        self, caller: Caller, request: wire.ForgetHostKeyRequest
    ) -> wire.ForgetHostKeyReply:
        with _refusals(request.node):
            parse_node(request.node)
            count = await trio.to_thread.run_sync(self._known.forget, request.node)
        text = "%d host keys of %s forgotten by %s"
        log.info(text, count, request.node, caller, extra=caller.for_log)
        return wire.ForgetHostKeyReply(count)

    async def _keys(self) -> tuple[wire.HostKey, ...]:
        entries = self._known.entries()
        # The others are patterns or hashes that a person wrote into the file.
        nodes = dict.fromkeys(node for node, _ in entries if node_keys(node))
        described = await self._describe([Node(node) for node in nodes])
        names = {node.node: node.name for node in described}
        return tuple(
            wire.HostKey(node, key.algorithm, key.fingerprint, str(key), names.get(node))
            for node, key in entries
        )


def _refuse_a_change(node: str, shown: Sequence[Key], trusted: Sequence[Key]) -> None:
    """Raises an error if a key that the node shows differs from a trusted key of the same type.

    A user who gets host_key_changed and types `add` instead of `forget` must not trust both keys. A
    key of another type is accepted only if the node also shows a trusted key: an attacker in
    between can choose the type, so a new key alone proves nothing.
    """
    known = {key.fingerprint for key in trusted}
    types = {key.algorithm for key in trusted}
    new = [key for key in shown if key.fingerprint not in known]
    nothing_known = bool(trusted) and len(new) == len(shown)
    changed = [key for key in new if key.algorithm in types] or (new if nothing_known else [])
    if changed:
        key = changed[0]
        others = [other for other in trusted if other.algorithm == key.algorithm] or trusted
        remembered = " or ".join(f"{other.fingerprint} ({other.algorithm})" for other in others)
        raise invalid(
            "node",
            f"{node!r} shows {key.fingerprint} ({key.algorithm}), but {remembered} is "
            "remembered; nothing was added: forget it first if the node was reinstalled",
        )


@contextmanager
def _refusals(node: str) -> Iterator[None]:
    """Turns exceptions of the block into errors of the interface."""
    try:
        yield
    except InvalidNode as reason:
        raise invalid("node", f"{node[:80]!r}: {reason}") from None
    except NodeFailed as e:
        raise error(wire_errors.ScanFailed(node, e.failure)) from None
    except OSError as e:
        raise error(wire_errors.StorageFailed(f"known_hosts: {e.strerror}")) from None
