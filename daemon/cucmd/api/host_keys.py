"""The host keys of nodes, over the socket: shown, added, forgotten.

The one rule: a key that came over the network is remembered only because a person asked for that
very node; what is durable is said, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from cucmd.api import structs
from cucmd.api.refusals import error, invalid
from cucmd.failure import NodeFailed
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.varlink import Caller

log = logging.getLogger(__name__)


class KnownHost(Protocol):
    @property
    def node(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def line(self) -> str: ...


class KeyRing(Protocol):
    """Where the daemon keeps nodes' keys."""

    def entries(self) -> Sequence[KnownHost]: ...

    async def add(self, node: str, key: str) -> None:
        """Durable on return. Raises `ValueError` for a key that is none, and `OSError`."""

    async def add_shown(self, node: str) -> None:
        """Adds what the node shows now. Raises `NodeFailed` and `OSError`."""

    async def forget(self, node: str) -> int:
        """How many there were. Raises `OSError`."""


class HostKeys:
    """The three methods."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def list(
        self, caller: Caller, request: structs.ListHostKeysRequest
    ) -> structs.ListHostKeysReply:
        return structs.ListHostKeysReply(self._keys())

    async def add(
        self, caller: Caller, request: structs.AddHostKeyRequest
    ) -> structs.HostKeysReply:
        with _refusals(request.node):
            wanted = node_key(*parse_node(request.node))
            if request.key is None:
                await self._ring.add_shown(request.node)
            else:
                await self._add_given(request.node, request.key)
        log.info("host key of %s added by uid %d, pid %d", request.node, caller.uid, caller.pid)
        return structs.HostKeysReply(tuple(key for key in self._keys() if _is(key.node, wanted)))

    async def _add_given(self, node: str, key: str) -> None:
        try:
            await self._ring.add(node, key)
        except ValueError as reason:
            raise invalid("key", f"{key[:40]!r}: {reason}") from None

    async def forget(
        self, caller: Caller, request: structs.ForgetHostKeyRequest
    ) -> structs.ForgetHostKeyReply:
        with _refusals(request.node):
            parse_node(request.node)
            count = await self._ring.forget(request.node)
        log.info(
            "%d host keys of %s forgotten by uid %d, pid %d",
            count, request.node, caller.uid, caller.pid,
        )  # fmt: skip
        return structs.ForgetHostKeyReply(count)

    def _keys(self) -> tuple[structs.HostKey, ...]:
        return tuple(
            structs.HostKey(one.node, one.algorithm, one.fingerprint, one.line)
            for one in self._ring.entries()
        )


def _is(node: str, wanted: tuple[str, int]) -> bool:
    try:
        return node_key(*parse_node(node)) == wanted
    except InvalidNode:  # a pattern or a hash that a person wrote into the file
        return False


@contextmanager
def _refusals(node: str) -> Iterator[None]:
    try:
        yield
    except InvalidNode as reason:
        raise invalid("node", f"{node[:80]!r}: {reason}") from None
    except NodeFailed as e:
        failure = e.failure
        wire = structs.Failure(failure.code, failure.message, failure.retryable, failure.hint)
        raise error(structs.ScanFailed(node, wire)) from None
    except OSError as e:
        raise error(structs.StorageFailed(f"known_hosts: {e.strerror}")) from None
