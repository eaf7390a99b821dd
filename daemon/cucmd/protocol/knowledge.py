"""Declares what travels about what the daemon knows: clusters, profiles, credentials, host keys."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cucmd.job.cluster import ClusterNode
from cucmd.job.request import Request


class Cluster(Struct, frozen=True):
    """Describes a cluster of the configuration; without a name one that is known by a discovery
    only. asked is the node that has named the nodes last, in the job of that id; version is that of
    this node.
    """

    nodes_total: int
    nodes_configured: int
    name: str | None = None
    publisher: str | None = None
    nodes: tuple[ClusterNode, ...] | None = None
    asked: str | None = None
    discovered_at: datetime | None = None
    job_id: str | None = None
    version: str | None = None


class ClustersRequest(Request, frozen=True):
    """Show what is known of clusters, or of those that have a name: that of a cluster, or of a node
    of one. Only with a name a reply has the nodes.
    """

    name: str | None = None


class ClustersReply(Struct, frozen=True):
    clusters: tuple[Cluster, ...]


class Profile(Struct, frozen=True):
    """Says what is collected for a kind of trouble. products are those that it fits; absent: any.
    leaves_out is what a person may expect in it and does not get, with where that is.
    """

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
    # As in Start.
    snapshot: bool | None = None
    # Of each path, for how long one file is written to: "1h", "always".
    written_for: tuple[str, ...] | None = None
    # Paths that no document of the vendor's is known to name: nodes need not have them.
    unverified: tuple[str, ...] | None = None
    # True: its snapshot is a look at the health of the node, and is judged.
    health: bool | None = None


class ProfilesRequest(Request, frozen=True):
    name: str | None = None


class ProfilesReply(Struct, frozen=True):
    profiles: tuple[Profile, ...]


class Credential(Struct, frozen=True):
    """Names a login that the daemon was given. If it is tied, it is sent only to these nodes, and
    to those of these clusters.
    """

    name: str
    tied: bool
    nodes: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None


class CredentialsRequest(Request, frozen=True):
    pass


class CredentialsReply(Struct, frozen=True):
    credentials: tuple[Credential, ...]


class HostKey(Struct, frozen=True):
    """Holds a key by which a node is known. fingerprint is as ssh shows it, "SHA256:..."; line is
    the line of known_hosts.
    """

    node: str
    algorithm: str
    fingerprint: str
    line: str


class ListHostKeysRequest(Request, frozen=True):
    pass


class ListHostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class AddHostKeyRequest(Request, frozen=True):
    """Without a key, the node is asked for those that it has, and they are remembered."""

    node: str
    key: str | None = None


class HostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class ForgetHostKeyRequest(Request, frozen=True):
    node: str


class ForgetHostKeyReply(Struct, frozen=True):
    forgotten: int


class ReloadRequest(Request, frozen=True):
    """Read the configuration and the known host keys again. Names the changed
    settings that only a restart applies.
    """

    pass


class ReloadReply(Struct, frozen=True):
    after_restart: tuple[str, ...]
