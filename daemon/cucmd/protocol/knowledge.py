"""Declares the requests and replies about clusters, profiles, credentials and host keys."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cucmd.job.cluster import ClusterNode
from cucmd.job.request import Request
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Time


class Cluster(Struct, frozen=True):
    """Describes a cluster of the configuration, or, without a name, one that only a discovery
    found. asked is the node that the last discovery asked for the nodes, in the job job_id. version
    is the version of that node. publisher_name is the host name of the publisher, or of the node
    that was asked if the publisher is not known; absent if no discovery has named it.
    """

    nodes_total: int
    nodes_configured: int
    name: str | None = None
    publisher: str | None = None
    nodes: tuple[ClusterNode, ...] | None = None
    asked: str | None = None
    discovered_at: Time | None = None
    job_id: str | None = None
    version: str | None = None
    publisher_name: str | None = None


class ClustersRequest(Request, frozen=True):
    """Show the known clusters, or those with a name: the name of a cluster or of one of its nodes.
    The reply has the nodes only if a name was given.
    """

    name: str | None = None


class ClustersReply(Struct, frozen=True):
    clusters: tuple[Cluster, ...]


class Profile(Struct, frozen=True):
    """Says what is collected for a kind of problem. products: the products that the profile is for.
    Absent: it is for any product. leaves_out: what a person may expect from the profile but will
    not get, and where to find that.
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
    # For how long the node writes to one file, for each path: "1h", "always".
    written_for: tuple[str, ...] | None = None
    # Paths that no known document of the vendor names. A node may not have them.
    unverified: tuple[str, ...] | None = None
    # True: its snapshot is a health check, whose findings are judged.
    health: bool | None = None


class ProfilesRequest(Request, frozen=True):
    name: str | None = None


class ProfilesReply(Struct, frozen=True):
    profiles: tuple[Profile, ...]


class Credential(Struct, frozen=True):
    """Names a login that the daemon was given. If it is tied, it is sent only to these nodes and to
    the nodes of these clusters.
    """

    name: str
    tied: bool
    nodes: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None


class KeptLogin(Struct, frozen=True):
    """Describes a login that KeepLogin has kept for the user who asks. target is the node or the
    cluster for which it is kept.
    """

    target: str
    username: str
    # When the daemon forgets it.
    until: datetime
    # As in KeepLogin.
    accept_nodes: bool | None = None


class CredentialsRequest(Request, frozen=True):
    """List the credentials of the daemon by name, and the logins that are kept for this user."""


class CredentialsReply(Struct, frozen=True):
    credentials: tuple[Credential, ...]
    logins: tuple[KeptLogin, ...] | None = None


class KeepLoginRequest(Request, frozen=True):
    """Keep a login in the memory of the daemon, and use it in calls of this user that have neither
    a password nor a credential: see Login. It is used only for these nodes, and for the nodes of
    these clusters of the configuration. The daemon forgets it after duration, by ForgetLogin, once
    a node refuses it, and when the daemon ends. It is not tried now. A login that is kept already
    for one of these names is replaced. Each name in on_behalf_of has logins of its own.
    """

    nodes: tuple[str, ...]
    # A username and a password.
    login: Login
    # Seconds, 1 to 43200. Absent: 1800.
    duration: float | None = None
    # It is also used for nodes that these nodes have named in a discovery.
    accept_nodes: bool | None = None


class KeepLoginReply(Struct, frozen=True):
    logins: tuple[KeptLogin, ...]


class ForgetLoginRequest(Request, frozen=True):
    """Forget the logins that are kept for this user, for these nodes and clusters or for all. A job
    that runs goes on with its login.
    """

    nodes: tuple[str, ...] | None = None


class ForgetLoginReply(Struct, frozen=True):
    forgotten: int


class HostKey(Struct, frozen=True):
    """A known host key of a node. fingerprint has the form that ssh shows, "SHA256:..."; line is
    the line of known_hosts; name is the host name that its cluster has told in a discovery.
    """

    node: str
    algorithm: str
    fingerprint: str
    line: str
    name: str | None = None


class ListHostKeysRequest(Request, frozen=True):
    pass


class ListHostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class AddHostKeyRequest(Request, frozen=True):
    """Remember a key of a node. Without a key, the daemon asks the node and remembers its keys."""

    node: str
    key: str | None = None


class HostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class ForgetHostKeyRequest(Request, frozen=True):
    node: str


class ForgetHostKeyReply(Struct, frozen=True):
    forgotten: int


class ReloadRequest(Request, frozen=True):
    """Read the configuration and the known host keys again. after_restart names the changed
    settings that need a restart.
    """

    pass


class ReloadReply(Struct, frozen=True):
    after_restart: tuple[str, ...]
