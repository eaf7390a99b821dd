"""The structs of calls about clusters. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cucmd.protocol.structs import Login, Member, Timeouts


class DiscoverRequest(Struct, frozen=True):
    publisher: str
    login: Login
    timeouts: Timeouts | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None


class ClusterNode(Struct, frozen=True):
    node: str
    configured: bool
    member: Member | None = None


class Cluster(Struct, frozen=True):
    nodes_total: int
    nodes_configured: int
    name: str | None = None
    publisher: str | None = None
    nodes: tuple[ClusterNode, ...] | None = None
    asked: str | None = None
    discovered_at: datetime | None = None
    job_id: str | None = None
    version: str | None = None


class ClustersRequest(Struct, frozen=True):
    name: str | None = None
    after: str | None = None


class ClustersReply(Struct, frozen=True):
    clusters: tuple[Cluster, ...]
    next: str | None = None


class Profile(Struct, frozen=True):
    name: str
    description: str
    paths: tuple[str, ...]
    location: str
    recurs: bool
    compress: bool
    match: str | None = None
    last: str | None = None
    products: tuple[str, ...] | None = None
    leaves_out: str | None = None
    snapshot: bool | None = None
    written_for: tuple[str, ...] | None = None


class ProfilesRequest(Struct, frozen=True):
    name: str | None = None


class ProfilesReply(Struct, frozen=True):
    profiles: tuple[Profile, ...]


class Credential(Struct, frozen=True):
    name: str
    tied: bool
    nodes: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None


class CredentialsRequest(Struct, frozen=True):
    pass


class CredentialsReply(Struct, frozen=True):
    credentials: tuple[Credential, ...]
