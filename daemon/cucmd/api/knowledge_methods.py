"""Answers the calls of `io.cucmd.Jobs` about clusters, profiles, credentials and kept logins, and
`Reload`.

No password is sent, and no method contacts a node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import TypeAlias

import trio
from msgspec.structs import asdict

from cucmd.api.refusals import error, refusals, refusals_of_files
from cucmd.config import Config, InvalidValue
from cucmd.config.config_thread import ConfigThread
from cucmd.config.credentials import credential_names, credentials_directory
from cucmd.config.profiles import Profile
from cucmd.config.rules import is_credential_name
from cucmd.plan.kept_logins import (
    MOST_SECONDS,
    USUAL_SECONDS,
    KeptLogins,
    Owner,
    Target,
    targets_of,
)
from cucmd.plan.known_clusters import KnownCluster, has_node, known_clusters, node_keys
from cucmd.plan.planner import check_login
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
    logins   the logins that are kept for users
    """

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        environ: Mapping[str, str],
        reload: Reload,
        logins: KeptLogins | None = None,
    ) -> None:
        self._logins = logins or KeptLogins()
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
        return wire.CredentialsReply(tuple(found), self._kept_for(caller) or None)

    async def keep_login(
        self, caller: Caller, request: wire.KeepLoginRequest
    ) -> wire.KeepLoginReply:
        login, seconds = request.login, request.duration
        with refusals(caller):
            check_login(login)
            if login.username is None or login.password is None:
                raise InvalidValue("login", "is not complete; give a username and a password")
            seconds = USUAL_SECONDS if seconds is None else seconds
            if not 1 <= seconds <= MOST_SECONDS:
                expected = f"{seconds:g}: expected 1 to {MOST_SECONDS} seconds"
                raise InvalidValue("duration", expected)
            self._logins.keep(
                _owner_of(caller),
                targets_of(self._config(), request.nodes),
                (login.username, login.password),
                seconds,
                accept_nodes=bool(request.accept_nodes),
            )
        return wire.KeepLoginReply(self._kept_for(caller))

    async def forget_login(
        self, caller: Caller, request: wire.ForgetLoginRequest
    ) -> wire.ForgetLoginReply:
        names = request.nodes
        # A name that was that of a cluster when the login was kept may be that of a node now.
        targets: set[Target] | None = None
        if names is not None:
            targets = set(chain(names, *map(node_keys, names)))
        return wire.ForgetLoginReply(self._logins.forget(_owner_of(caller), targets))

    def _kept_for(self, caller: Caller) -> tuple[wire.KeptLogin, ...]:
        now, at = trio.current_time(), datetime.now(UTC)
        return tuple(
            wire.KeptLogin(
                kept.name,
                kept.login.username,
                at + timedelta(seconds=kept.deadline - now),
                kept.accept_nodes or None,
            )
            for kept in self._logins.of(_owner_of(caller)).values()
        )

    async def reload(self, caller: Caller, request: wire.ReloadRequest) -> wire.ReloadReply:
        try:
            return wire.ReloadReply(await self._reload(caller.for_log))
        except CannotReload as reason:
            raise error(wire_errors.ReloadFailed(str(reason))) from None


def _owner_of(caller: Caller) -> Owner:
    return caller.uid, caller.asked_by


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
    first = known.publisher or (last and last.asked)
    members = (node.member for node in known.nodes if node.node == first)
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
        publisher_name=next((member.name for member in members if member is not None), None),
    )
