"""Answers the calls of `io.cucmd.Jobs` about clusters, profiles and credentials, and `Reload`.

Only names are read and sent, no passwords, and no method contacts a node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import trio
from msgspec.structs import asdict

from cucmd.api.refusals import error, refusals, refusals_of_files
from cucmd.config import Config
from cucmd.config.config_thread import ConfigThread
from cucmd.config.credentials import credential_names, credentials_directory
from cucmd.config.profiles import Profile
from cucmd.config.rules import is_credential_name
from cucmd.plan.known_clusters import KnownCluster, has_node, known_clusters
from cucmd.protocol import errors as wire_errors
from cucmd.protocol import knowledge as wire
from cucmd.store import Store
from cucmd.varlink import Caller


class CannotReload(Exception):
    """The changed files cannot be used. The text is one line and says why."""


# Reads the configuration and the known host keys again. It is called with the `extra` of log
# records, and returns the names of the changed settings that need a restart. Raises `CannotReload`
# if nothing was changed.
Reload: TypeAlias = Callable[[Mapping[str, object]], Awaitable[tuple[str, ...]]]


class KnowledgeMethods:
    """Answers the calls about what the daemon knows.

    config   returns the configuration; called for each request, since a reload replaces it
    environ  the daemon's environment
    """

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
        self._thread = ConfigThread()

    async def clusters(self, caller: Caller, request: wire.ClustersRequest) -> wire.ClustersReply:
        name = request.name
        found: list[wire.Cluster] = []
        with refusals():
            for cluster in known_clusters(self._config(), await self._store.discoveries()):
                if name is None or cluster.name == name or has_node(cluster, name):
                    found.append(_cluster(cluster, with_nodes=name is not None))
                await trio.lowlevel.checkpoint()  # hundreds of nodes take some time
        return wire.ClustersReply(tuple(found))

    async def profiles(self, caller: Caller, request: wire.ProfilesRequest) -> wire.ProfilesReply:
        with refusals():
            config, name = self._config(), request.name
            chosen = config.profiles.values() if name is None else [config.profile(name)]
        return wire.ProfilesReply(tuple(map(_profile, chosen)))

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


def _profile(profile: Profile) -> wire.Profile:
    fields = asdict(profile) | {
        "products": profile.products or None,
        "leaves_out": profile.leaves_out or None,
        "unverified": profile.unverified or None,
        "snapshot": bool(profile.snapshot) or None,
        "health": profile.snapshot == "health" or None,
    }
    return wire.Profile(**fields)


def _cluster(known: KnownCluster, *, with_nodes: bool) -> wire.Cluster:
    last = known.discovery
    return wire.Cluster(
        nodes_total=len(known.nodes),
        nodes_configured=sum(node.configured for node in known.nodes),
        name=known.name,
        publisher=known.publisher,
        nodes=known.nodes if with_nodes else None,
        asked=last.asked if last else None,
        discovered_at=last.found_at if last else None,
        job_id=last.job_id if last else None,
        version=last.found.version if last else None,
    )
