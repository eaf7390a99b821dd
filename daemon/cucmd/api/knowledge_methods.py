"""Answers the calls of `io.cucmd.Jobs` about what the daemon knows: clusters, profiles,
credentials, its configuration, and the call that has it read that again.

Names only. No password is read here, and no method contacts a node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import trio

from cucmd.api.refusals import error, refusals, refusals_of_files
from cucmd.config import Config
from cucmd.config.config_thread import ConfigThread
from cucmd.config.credentials import credential_names, credentials_directory
from cucmd.config.rules import is_credential_name
from cucmd.plan.known import KnownCluster, has_node, known_clusters
from cucmd.protocol import errors as wire_errors
from cucmd.protocol import knowledge as wire
from cucmd.store import Store
from cucmd.varlink import Caller


class CannotReload(Exception):
    """Says why the files are not used. The text is one line."""


# Reads configuration and known host keys again; called with the `extra` of log records that this
# causes. Returns the names of the changed settings that only a restart applies. Raises
# `CannotReload`, and then nothing has changed.
Reload: TypeAlias = Callable[[Mapping[str, object]], Awaitable[tuple[str, ...]]]


class KnowledgeMethods:
    """`config` is called for each request, since a reload replaces it. `environ`: the daemon's."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        environ: Mapping[str, str],
        reload: Reload,
    ) -> None:
        self._store = store
        self._reload = reload
        self._config = config
        self._environ = environ
        self._asked: dict[int, trio.Lock] = {}  # by the uid
        self._thread = ConfigThread()

    async def clusters(self, caller: Caller, request: wire.ClustersRequest) -> wire.ClustersReply:
        name = request.name
        found: list[wire.Cluster] = []
        # One of a user at a time: others have their turn after each.
        async with self._asked.setdefault(caller.uid, trio.Lock()):
            with refusals():
                for one in known_clusters(self._config(), await self._store.discoveries()):
                    if name is None or one.name == name or has_node(one, name):
                        found.append(_cluster(one, nodes=name is not None))
                    await trio.lowlevel.checkpoint()
        return wire.ClustersReply(tuple(found))

    async def profiles(self, caller: Caller, request: wire.ProfilesRequest) -> wire.ProfilesReply:
        profiles = self._config().profiles
        if request.name is None:
            chosen = list(profiles.values())
        else:
            with refusals():
                chosen = [self._config().profile(request.name)]
        return wire.ProfilesReply(
            tuple(
                wire.Profile(
                    name=one.name,
                    description=one.description,
                    paths=one.paths,
                    location=one.location,
                    recurs=one.recurs,
                    compress=one.compress,
                    match=one.match,
                    last=one.last,
                    products=one.products or None,
                    leaves_out=one.leaves_out or None,
                    snapshot=bool(one.snapshot) or None,
                    health=one.snapshot == "health" or None,
                    written_for=one.written_for,
                    unverified=one.unverified or None,
                )
                for one in chosen
            )
        )

    async def credentials(
        self, caller: Caller, request: wire.CredentialsRequest
    ) -> wire.CredentialsReply:
        config = self._config()
        directory = credentials_directory(config.credentials.directory, self._environ)
        names: tuple[str, ...] = ()
        if directory is not None:
            with refusals_of_files():
                names = await self._thread.read(partial(credential_names, directory))
        found = []
        for name in filter(is_credential_name, names):
            if (use := config.credential_uses.get(name)) is None:
                found.append(wire.Credential(name, tied=False))
            else:
                found.append(
                    wire.Credential(name, tied=True, nodes=use.nodes, clusters=use.clusters)
                )
        return wire.CredentialsReply(tuple(found))

    async def reload(self, caller: Caller, request: wire.ReloadRequest) -> wire.ReloadReply:
        try:
            return wire.ReloadReply(await self._reload(caller.for_log))
        except CannotReload as reason:
            raise error(wire_errors.ReloadFailed(str(reason))) from None


def _cluster(known: KnownCluster, *, nodes: bool = False) -> wire.Cluster:
    last = known.discovery
    return wire.Cluster(
        nodes_total=len(known.nodes),
        nodes_configured=sum(node.configured for node in known.nodes),
        name=known.name,
        publisher=known.publisher,
        nodes=known.nodes if nodes else None,
        asked=last.asked if last else None,
        discovered_at=last.found_at if last else None,
        job_id=last.job_id if last else None,
        version=last.found.version if last else None,
    )
